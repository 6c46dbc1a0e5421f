import SmartStack

@testable import HAProxyConfigGen

/// One recorded case: configuration and servers in, expected sections out.
struct GoldenCase: CustomStringConvertible {
  struct Step {
    var backends: [String: [Backend]]
    /// Alternatives, any of which may hold: sections as header and lines.
    var expected: [[GoldenSection]]
    /// Service → names of its servers in the state file.
    var state: [String: [String]]?
  }

  var name: String
  var settings: GeneratorSettings
  var services: [ServiceSettings]
  var state: String?
  var steps: [Step]
  /// Why the expectation is ours and not the original's.
  var reason: String?
  /// Words that the problems must name.
  var names: [String] = []
  var optionalLines: [String: [String]] = [:]
  var optionalServers: String?
  var mayBeInvalid = false
  var isBadService = false

  var description: String { name }
}

struct GoldenSection: Hashable {
  var header: String
  var lines: [String]

  /// The sections of a rendered file: comments and blank lines dropped, blanks squeezed.
  static func read(_ text: String) -> [GoldenSection] {
    var sections: [GoldenSection] = []
    for line in text.split(separator: "\n") where !line.hasPrefix("#") {
      let words = line.split { $0 == " " || $0 == "\t" }.joined(separator: " ")
      if line.hasPrefix("\t") {
        sections[sections.count - 1].lines.append(words)
      } else if !words.isEmpty {
        sections.append(GoldenSection(header: words, lines: []))
      }
    }
    return sections
  }
}

extension GoldenCase {
  static let all: [GoldenCase] = {
    let path = #filePath.split(separator: "/").dropLast(2).joined(separator: "/")
    let text = HAProxyTool.read("/\(path)/Golden/synapse/haproxy.json")
    guard case .array(let cases)? = JSONValue(Array(text.utf8)) else { return [] }
    return cases.map(GoldenCase.init)
  }()

  init(_ json: JSONValue) {
    name = json["name"]?.string ?? ""
    settings = GeneratorSettings(golden: json["top"] ?? .null)
    services = (json["services"]?.array ?? []).map { service in
      ServiceSettings(golden: service["haproxy"] ?? .null, service: service["name"]?.string ?? "")
    }
    state = json["state"]?.string
    let base =
      [
        GoldenSection(header: "global", lines: settings.global),
        GoldenSection(header: "defaults", lines: settings.defaults),
      ] + settings.extraSections.map { GoldenSection(header: $0.title, lines: $0.lines) }
    steps = (json["steps"]?.array ?? []).map { Step($0, base: base) }
    guard let accept = json["accept"] else { return }
    reason = accept["reason"]?.string
    names = accept["names"]?.strings ?? []
    optionalLines = accept["optional_lines"]?.object?.values.compactMapValues(\.strings) ?? [:]
    optionalServers = accept["optional_servers"]?.string
    mayBeInvalid = accept["file_may_be_invalid"] == .bool(true)
    isBadService = accept["bad_service"] == .bool(true)
  }
}

extension GoldenCase.Step {
  init(_ json: JSONValue, base: [GoldenSection]) {
    backends = json["backends"]?.object?.values.mapValues { ($0.array ?? []).compactMap { Backend(golden: $0) } } ?? [:]
    expected = (json["expected"]?.array ?? []).map { variant in
      let (list, prefix) = variant["all"].map { ($0, []) } ?? (variant, base)
      let sections = (list.array ?? []).map { section in
        GoldenSection(header: section.array?[0].string ?? "", lines: section.array?[1].strings ?? [])
      }
      return prefix + sections
    }
    state = json["state"]?.object?.values.compactMapValues(\.strings)
  }
}

extension Backend {
  /// As a registration's decoder has it: what is of the wrong kind is no backend, or costs the field.
  init?(golden json: JSONValue) {
    guard let host = json["host"]?.string, let port = json["port"]?.int ?? json["port"]?.string.flatMap({ Int($0) })
    else { return nil }
    if let name = json["name"], name.string == nil { return nil }
    if let labels = json["labels"], labels.object == nil { return nil }
    self.init(
      name: json["name"]?.string, host: host, port: port, id: json["id"]?.int, weight: json["weight"]?.int,
      haproxyServerOptions: json["haproxy_server_options"]?.string, haproxyServerID: json["haproxy_server_id"]?.int)
  }
}

extension GeneratorSettings {
  init(golden json: JSONValue) {
    self = Fixture.settings
    if let lines = json["global"]?.strings { global = lines }
    if let lines = json["defaults"]?.strings { defaults = lines }
    extraSections = (json["extra_sections"]?.keys ?? []).map { title in
      ExtraSection(title: title, lines: json["extra_sections"]?[title]?.strings ?? [])
    }
    sharedFrontend = json["shared_frontend"]?.strings
    if let address = json["bind_address"]?.string { bindAddress = address }
    if let maximum = json["max_server_id"]?.int { maxServerID = maximum }
    if let ttl = json["state_file_ttl"]?.int { stateFileTTL = ttl }
    keepsGoneServers = json["state_file"] == .bool(true)
  }
}

extension ServiceSettings {
  init(golden json: JSONValue, service: String) {
    self.init(service: service)
    switch json["port"] {
    case nil: port = .omitted
    case .null?: port = .none
    case .number(let text)?, .string(let text)?: port = .number(text)
    default: break
    }
    bindAddress = json["bind_address"]?.string
    bindOptions = json["bind_options"]?.string
    serverOptions = json["server_options"]?.string
    frontend = json["frontend"]?.lines ?? []
    backend = json["backend"]?.lines ?? []
    listen = json["listen"]?.lines ?? []
    backendName = json["backend_name"]?.string
    backendOrder = ServerOrder(configured: json["backend_order"]?.string)
    hashesCookies = json["cookie_value_method"]?.string == "hash"
    sharedFrontend = json["shared_frontend"]?.lines
    isDisabled = json["disabled"] == .bool(true)
  }
}
