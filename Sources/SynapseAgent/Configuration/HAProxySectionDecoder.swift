internal import HAProxyConfigGen
internal import HAProxyRuntime
internal import YAMLConfig

/// Decodes `haproxy` sections: the top level's and a service's.
enum HAProxySectionDecoder {
  // MARK: Top level

  static func top(_ section: ConfigSection) throws(ConfigError) -> HAProxyConfiguration {
    var result = HAProxyConfiguration()
    result.generator = try generator(section)
    result.writesFile = try section.bool("do_writes", default: true)
    result.filePath = try needed("config_file_path", by: "do_writes", result.writesFile, section) ?? ""
    result.candidatePath = try section.string("candidate_config_file_path", default: result.filePath + ".tmp")
    result.check = try check(section)
    let usesSocket = try section.bool("do_socket", default: true)
    let sockets = try section.strings("socket_file_path").filter { !$0.isEmpty }
    if usesSocket, sockets.isEmpty { _ = try needed("socket_file_path", by: "do_socket", true, section) }
    result.sockets = usesSocket ? sockets : []
    result.reload = try reload(section)
    result.reloadTimeout = try section.duration("reload_timeout", in: 0.1...3600, default: .seconds(120))
    result.foldInterval = try section.duration("fold_interval", in: 0...31_536_000, default: .seconds(3600))
    result.auditInterval = try section.duration("audit_interval", in: 0.1...86_400, default: .seconds(60))
    result.serverStatePath = serverStatePath(result.generator.global)
    result.reloadInterval = try section.duration("restart_interval", in: 0...86_400, default: .seconds(2))
    result.reloadJitter = try section.double("restart_jitter", in: 0...100, default: 0)
    let (count, age) = (
      try section.int("max_old_workers", in: 0...10_000, default: 10),
      try section.duration("max_old_worker_age", in: 0...31_536_000, default: .seconds(3600))
    )
    result.workerLimits = WorkerLimits(count: count > 0 ? count : nil, age: age > .zero ? age : nil)
    result.stateFilePath = try section.optionalString("state_file_path")
    result.generator.keepsGoneServers = result.stateFilePath != nil
    result.generator.keepsUnknownDirectives = result.check != .none
    return result
  }

  private static func reload(_ section: ConfigSection) throws(ConfigError) -> ReloadMethod? {
    let isWanted = try section.bool("do_reloads", default: true)
    if let path = try section.optionalString("master_socket"), !path.isEmpty {
      _ = try section.optionalString("reload_command")
      return isWanted ? .masterSocket(path) : nil
    }
    let command = try needed("reload_command", by: "do_reloads", isWanted, section)
    return isWanted ? command.map(ReloadMethod.command) : nil
  }

  /// Where HAProxy is told to find its servers' state: `server-state-file`, below `server-state-base` if relative.
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

  private static func generator(_ section: ConfigSection) throws(ConfigError) -> GeneratorSettings {
    var generator = GeneratorSettings()
    generator.global = try lines(section.required("global"))
    generator.defaults = try lines(section.required("defaults"))
    for entry in try section.entries("extra_sections") {
      generator.extraSections.append(ExtraSection(title: try oneLine(entry), lines: try lines(entry.value)))
    }
    generator.sharedFrontend = try optionalLines("shared_frontend", section)
    generator.bindAddress = try section.string("bind_address", default: "localhost")
    // Text, because the number may have 128 bits.
    generator.serverOrderSeed = try section.string("server_order_seed", default: "0")
    generator.maxServerID = try section.int("max_server_id", in: 1...Int(Int32.max), default: 65_535)
    generator.stateFileTTL = try section.int("state_file_ttl", in: 0...Int(Int32.max) * 1000, default: 86_400)
    generator.usesNerveWeights = try section.bool("use_nerve_weights", default: false)
    return generator
  }

  private static func check(_ section: ConfigSection) throws(ConfigError) -> FileCheck {
    let isWanted = try section.optionalBool("do_checks")
    let command = try needed("check_command", by: "do_checks", isWanted == true, section)
    _ = try needed("candidate_config_file_path", by: "do_checks", isWanted == true, section)
    switch isWanted {
    case nil: return .installedHAProxy
    case false?: return .none
    case true?: return .command(command ?? "")
    }
  }

  /// A text that must be there when a switch is on; `key` is known either way.
  private static func needed(
    _ key: String, by cause: String, _ isOn: Bool, _ section: ConfigSection
  ) throws(ConfigError) -> String? {
    if let value = try section.optionalString(key), !value.isEmpty { return value }
    if isOn { throw section.node.error("the key '\(key)' is missing; it is needed while '\(cause)' is true") }
    return nil
  }

  private static func oneLine(_ entry: YAMLEntry) throws(ConfigError) -> String {
    if entry.name.utf8.contains(10) { throw entry.value.error("a section's title is one line") }
    return entry.name
  }

  // MARK: Services

  /// A service's section, from a file or from a znode.
  static func service(_ name: String, _ section: ConfigSection) throws(ConfigError) -> ServiceSettings {
    var settings = ServiceSettings(service: name)
    settings.port = try port(section)
    settings.bindAddress = try word("bind_address", section)
    settings.bindOptions = try word("bind_options", section)
    settings.serverOptions = try word("server_options", section) ?? ""
    settings.frontend = try optionalLines("frontend", section) ?? []
    settings.backend = try optionalLines("backend", section) ?? []
    settings.listen = try optionalLines("listen", section) ?? []
    settings.backendName = try word("backend_name", section)
    settings.backendOrder = ServerOrder(configured: try section.optionalString("backend_order"))
    settings.cookieValueMethod = CookieValueMethod(configured: try section.optionalString("cookie_value_method"))
    settings.sharedFrontend = try optionalLines("shared_frontend", section)
    settings.isDisabled = try section.bool("disabled", default: false)
    settings.usesNerveWeights = try section.optionalBool("use_nerve_weights")
    settings.source = section.node.json()
    return settings
  }

  private static func port(_ section: ConfigSection) throws(ConfigError) -> ServicePort {
    guard let node = section.rawNode("port") else { return .omitted }
    return node.isNull ? .none : .number(String(try node.int(in: 1...65_535)))
  }

  /// A text that becomes a part of one line.
  private static func word(_ key: String, _ section: ConfigSection) throws(ConfigError) -> String? {
    guard let text = try section.optionalString(key) else { return nil }
    if text.utf8.contains(where: { $0 == 10 || $0 == 13 || $0 == 0 }) {
      throw section.error(at: key, "holds a line break, and becomes a part of one line")
    }
    return text
  }

  private static func optionalLines(_ key: String, _ section: ConfigSection) throws(ConfigError) -> [String]? {
    guard let node = section.node(key) else { return nil }
    return try lines(node)
  }

  /// Lines as a list or as one text; a text of several lines is several lines.
  private static func lines(_ node: YAMLNode) throws(ConfigError) -> [String] {
    try node.strings().flatMap { text in
      text.split(omittingEmptySubsequences: true, whereSeparator: \.isNewline).map(String.init)
    }
  }
}
