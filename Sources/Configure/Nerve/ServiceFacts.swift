internal import SmartStack

/// What is registered of a local service, read from its list entry and checked.
struct ServiceFacts: Equatable, Sendable {
  var name: String
  var port: Int
  /// Where it listens, if that is not this host's address: a pod's.
  var serviceIP: String?
  /// Where its hacheck listens.
  var hacheckIP = "127.0.0.1"
  /// `http`, `tcp`…: how hacheck asks it.
  var mode = "http"
  var healthcheckPort: Int
  /// Without slashes in front.
  var uri = "status"
  /// As it was written, and in seconds.
  var timeout: JSONValue = .double(1)
  var timeoutSeconds = 1.0
  var expect: JSONValue?
  var headers: JSONObject = [:]
  /// The types of location it is advertised in.
  var advertise = ["region"]
  /// `type:location` pairs: seen from the first, also advertised in the second.
  var extraAdvertise: [Advertisement] = []
  /// nil when it has none of its own.
  var weight: JSONValue?
  /// Labels of its own.
  var labels: JSONObject = [:]

  /// One entry of `extra_advertise`.
  struct Advertisement: Equatable, Sendable {
    var source: Location
    var destination: Location
  }

  /// A location and its type.
  struct Location: Hashable, Sendable {
    var type: String
    var name: String

    /// `type:location`; nil for anything else.
    init?(_ text: String) {
      let parts = text.split(separator: ":", omittingEmptySubsequences: false)
      guard parts.count == 2 else { return nil }
      (type, name) = (String(parts[0]), String(parts[1]))
    }

    init(type: String, name: String) { (self.type, self.name) = (type, name) }
  }
}

/// A value of a service that is of no use.
struct FieldProblem: Error, Equatable, CustomStringConvertible {
  var key: String
  var problem: String

  var description: String { "\(key): \(problem)" }
}

extension ServiceFacts {
  /// nil for what is not to be registered: without port, or advertised nowhere.
  /// - Throws: for the first value of the wrong kind.
  init?(_ service: LocalService) throws(FieldProblem) {
    let fields = ServiceFields(values: service.values)
    guard let port = try fields.port() else { return nil }
    if let types = try fields.strings("advertise", nullIsEmpty: true) { advertise = types }
    guard !advertise.isEmpty else { return nil }
    name = service.name
    self.port = port
    serviceIP = try fields.text("service_ip")
    if let given = try fields.text("hacheck_ip") { hacheckIP = given }
    if let given = try fields.text("mode") { mode = given }
    if let given = try fields.text("healthcheck_mode") { mode = given }
    healthcheckPort = try fields.int("healthcheck_port", in: 0...65_535) ?? port
    if let given = fields.values["healthcheck_uri"] {
      guard let text = given.string else { throw fields.wrong("healthcheck_uri", "a text") }
      uri = String(text.drop { $0 == "/" })
    }
    if let given = fields.values["healthcheck_timeout_s"] {
      guard let seconds = given.double, seconds > 0, seconds <= 1e6 else {
        throw fields.wrong("healthcheck_timeout_s", "a number of seconds")
      }
      (timeout, timeoutSeconds) = (given, seconds)
    }
    if let given = fields.values["healthcheck_body_expect"], !given.isFalsy { expect = given }
    if let given = fields.values["extra_healthcheck_headers"] {
      guard let members = given.object else { throw fields.wrong("extra_healthcheck_headers", "a mapping") }
      headers = members
    }
    if let given = fields.values["weight"], !given.isNull {
      guard given.double != nil else { throw fields.wrong("weight", "a number") }
      weight = given
    }
    for key in ["deploy_group", "paasta_instance"] {
      if let given = fields.values[key], !given.isFalsy { labels[key] = given }
    }
    extraAdvertise = try fields.advertisements()
  }
}

/// Typed reading of a service's values; every problem says what was expected and what stands there.
private struct ServiceFields {
  var values: JSONObject

  func wrong(_ key: String, _ expected: String) -> FieldProblem {
    FieldProblem(key: key, problem: "expected \(expected), found \(values[key]?.summary ?? "nothing")")
  }

  /// nil for none: absent, null, zero.
  func port() throws(FieldProblem) -> Int? {
    guard let given = values["port"], !given.isFalsy else { return nil }
    guard let number = given.wholeNumber, (1...65_535).contains(number) else { throw wrong("port", "a port number") }
    return number
  }

  /// A number, or the text of one; nil for absent and null.
  func int(_ key: String, in range: ClosedRange<Int>) throws(FieldProblem) -> Int? {
    guard let given = values[key], !given.isNull else { return nil }
    guard let number = given.wholeNumber ?? given.string.flatMap({ Int($0) }), range.contains(number) else {
      throw wrong(key, "a number in \(range.lowerBound)...\(range.upperBound)")
    }
    return number
  }

  /// nil for absent and null.
  func text(_ key: String) throws(FieldProblem) -> String? {
    guard let given = values[key], !given.isNull else { return nil }
    guard let text = given.string, !text.isEmpty else { throw wrong(key, "a text") }
    return text
  }

  /// nil for absent.
  func strings(_ key: String, nullIsEmpty: Bool) throws(FieldProblem) -> [String]? {
    guard let given = values[key] else { return nil }
    if nullIsEmpty, given.isNull { return [] }
    guard let texts = given.strings else { throw wrong(key, "a list of texts") }
    return texts
  }

  func advertisements() throws(FieldProblem) -> [ServiceFacts.Advertisement] {
    guard let given = values["extra_advertise"] else { return [] }
    guard let pairs = given.array else { throw wrong("extra_advertise", "a list of [source, destination]") }
    var result: [ServiceFacts.Advertisement] = []
    for pair in pairs {
      guard let both = pair.strings, both.count == 2, let source = ServiceFacts.Location(both[0]),
        let destination = ServiceFacts.Location(both[1])
      else {
        throw FieldProblem(
          key: "extra_advertise", problem: "expected [\"type:location\", \"type:location\"], found \(pair)")
      }
      result.append(ServiceFacts.Advertisement(source: source, destination: destination))
    }
    return result
  }
}

extension JSONValue {
  /// What Python counts as false.
  var isFalsy: Bool {
    switch self {
    case .null: true
    case .bool(let value): !value
    case .number: double == 0
    case .string(let text): text.isEmpty
    case .array(let items): items.isEmpty
    case .object(let members): members.isEmpty
    }
  }

  /// An integer, or a float without fraction.
  var wholeNumber: Int? { int ?? double.flatMap { Int(exactly: $0) } }

  /// The value as words of an error.
  var summary: String {
    switch self {
    case .null: "null"
    case .bool(let value): "the boolean \(value)"
    case .number(let text): "the number \(text)"
    case .string(let text): text.isEmpty ? "an empty text" : "the text \(JSONText.quoted(String(text.prefix(60))))"
    case .array: "a list"
    case .object: "a mapping"
    }
  }
}
