internal import HAProxyConfigGen
internal import HAProxyRuntime
internal import SmartStack
internal import YAMLConfig

extension HAProxyConfiguration {
  /// Decodes the top level's section.
  init(_ section: ConfigSection) throws(ConfigError) {
    self.init()
    generator = try GeneratorSettings(section)
    writesFile = try section.bool("do_writes", default: writesFile)
    filePath = try section.text("config_file_path", neededBy: "do_writes", isOn: writesFile) ?? ""
    candidatePath = try section.string("candidate_config_file_path", default: filePath + ".tmp")
    check = try FileCheck(section)
    let usesSocket = try section.bool("do_socket", default: true)
    let paths = try section.strings("socket_file_path").filter { !$0.isEmpty }
    if usesSocket, paths.isEmpty { _ = try section.text("socket_file_path", neededBy: "do_socket", isOn: true) }
    sockets = usesSocket ? paths : []
    reload = try HAProxyConfiguration.reloadMethod(section)
    reloadTimeout = try section.duration("reload_timeout", in: 0.1...3600, default: reloadTimeout)
    foldInterval = try section.duration("fold_interval", in: 0...31_536_000, default: foldInterval)
    auditInterval = try section.duration("audit_interval", in: 0.1...86_400, default: auditInterval)
    serverStatePath = HAProxyConfiguration.serverStatePath(generator.global)
    reloadInterval = try section.duration("restart_interval", in: 0...86_400, default: reloadInterval)
    reloadJitter = try section.double("restart_jitter", in: 0...100, default: reloadJitter)
    // Zero is no limit.
    let count = try section.int("max_old_workers", in: 0...10_000, default: workerLimits.count ?? 0)
    let age = try section.duration("max_old_worker_age", in: 0...31_536_000, default: workerLimits.age ?? .zero)
    workerLimits = WorkerLimits(count: count > 0 ? count : nil, age: age > .zero ? age : nil)
    stateFilePath = try section.optionalString("state_file_path")
    generator.keepsGoneServers = stateFilePath != nil
    generator.keepsUnknownDirectives = check != .none
  }

  private static func reloadMethod(_ section: ConfigSection) throws(ConfigError) -> ReloadMethod? {
    let isWanted = try section.bool("do_reloads", default: true)
    if let path = try section.optionalString("master_socket"), !path.isEmpty {
      _ = try section.optionalString("reload_command")
      return isWanted ? .masterSocket(path) : nil
    }
    let command = try section.text("reload_command", neededBy: "do_reloads", isOn: isWanted)
    return isWanted ? command.map(ReloadMethod.command) : nil
  }

  /// Where HAProxy is to find its servers' state: `server-state-file`, below `server-state-base` if relative.
  private static func serverStatePath(_ global: [String]) -> String? {
    var values: [Substring: String] = [:]
    for line in global {
      let words = line.split(whereSeparator: \.isWhitespace)
      if words.count == 2 { values[words[0]] = String(words[1]) }
    }
    guard let file = values["server-state-file"] else { return nil }
    if file.hasPrefix("/") { return file }
    return values["server-state-base"].map { "\($0)/\(file)" }
  }
}

extension GeneratorSettings {
  fileprivate init(_ section: ConfigSection) throws(ConfigError) {
    self.init()
    global = try section.required("global").lines()
    defaults = try section.required("defaults").lines()
    for entry in try section.entries("extra_sections") {
      if entry.name.utf8.contains(10) { throw entry.value.error("a section's title is one line") }
      extraSections.append(ExtraSection(title: entry.name, lines: try entry.value.lines()))
    }
    sharedFrontend = try section.lines("shared_frontend")
    bindAddress = try section.string("bind_address", default: bindAddress)
    // Text, because the number may have 128 bits.
    serverOrderSeed = try section.string("server_order_seed", default: serverOrderSeed)
    maxServerID = try section.int("max_server_id", in: 1...Int(Int32.max), default: maxServerID)
    stateFileTTL = try section.int("state_file_ttl", in: 0...Int(Int32.max) * 1000, default: stateFileTTL)
    usesNerveWeights = try section.bool("use_nerve_weights", default: usesNerveWeights)
  }
}

extension FileCheck {
  fileprivate init(_ section: ConfigSection) throws(ConfigError) {
    let isWanted = try section.optionalBool("do_checks")
    let command = try section.text("check_command", neededBy: "do_checks", isOn: isWanted == true)
    _ = try section.text("candidate_config_file_path", neededBy: "do_checks", isOn: isWanted == true)
    self =
      switch isWanted {
      case nil: .installedHAProxy
      case false?: .none
      case true?: .command(command ?? "")
      }
  }
}

extension ServiceSettings {
  /// Decodes a service's section, from a file or from the registry.
  init(service: String, section: ConfigSection) throws(ConfigError) {
    self.init(service: service)
    if let node = section.rawNode("port") {
      port = node.isNull ? .none : .number(String(try node.int(in: 1...65_535)))
    }
    bindAddress = try section.partOfLine("bind_address")
    bindOptions = try section.partOfLine("bind_options")
    serverOptions = try section.partOfLine("server_options") ?? ""
    frontend = try section.lines("frontend") ?? frontend
    backend = try section.lines("backend") ?? backend
    listen = try section.lines("listen") ?? listen
    backendName = try section.partOfLine("backend_name")
    let order = try section.optionalString("backend_order")
    backendOrder = ServerOrder(configured: order)
    if let order, backendOrder == .shuffle, order != ServerOrder.shuffle.rawValue {
      section.warn(at: "backend_order", "'\(order)' is none of asc, desc, no_shuffle and shuffle, which is used")
    }
    hashesCookies = try section.optionalString("cookie_value_method") == "hash"
    sharedFrontend = try section.lines("shared_frontend")
    isDisabled = try section.bool("disabled", default: isDisabled)
    usesNerveWeights = try section.optionalBool("use_nerve_weights")
    let trust = try section.choice("generator_config_trust", of: ["limited", "full"], default: "limited")
    trustsRegistry = trust == "full"
    source = section.node.json()
  }
}

extension ConfigSection {
  /// A text that must be there while a switch is on; `key` is known either way.
  fileprivate func text(_ key: String, neededBy cause: String, isOn: Bool) throws(ConfigError) -> String? {
    if let value = try optionalString(key), !value.isEmpty { return value }
    if isOn { throw node.error("the key '\(key)' is missing; it is needed while '\(cause)' is true") }
    return nil
  }

  /// A text that becomes a part of one line.
  fileprivate func partOfLine(_ key: String) throws(ConfigError) -> String? {
    guard let text = try optionalString(key) else { return nil }
    if text.utf8.contains(where: { $0 == 10 || $0 == 13 || $0 == 0 }) {
      throw error(at: key, "holds a line break, and becomes a part of one line")
    }
    return text
  }

  fileprivate func lines(_ key: String) throws(ConfigError) -> [String]? {
    guard let node = node(key) else { return nil }
    return try node.lines()
  }
}

extension YAMLNode {
  /// Lines as a list or as one text; a text of several lines is several lines.
  fileprivate func lines() throws(ConfigError) -> [String] {
    let items: [YAMLNode] = if case .sequence(let items) = value { items } else { [self] }
    // A number or a boolean is a mistake: HAProxy has no directive of that name.
    for case .scalar(let scalar) in items.map(\.value) where ![.text, .null].contains(scalar.kind) {
      throw error("expected lines of HAProxy's file, found \(scalar.text)")
    }
    return try strings().flatMap { text in
      text.lines.filter { !$0.isEmpty }.map(String.init)
    }
  }
}
