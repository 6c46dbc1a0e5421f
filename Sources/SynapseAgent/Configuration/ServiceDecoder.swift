internal import HAProxyConfigGen
internal import Registry
internal import SmartStack
internal import YAMLConfig

/// Decodes one entry of `services`.
struct ServiceDecoder {
  let name: String
  let section: ConfigSection
  /// For credentials that no file holds.
  var environment: [String: String] = [:]

  /// - Returns: one service, or as many numbered copies as `load_test_concurrency` asks for.
  func decode() throws(ConfigError) -> [ServiceConfiguration] {
    var service = ServiceConfiguration(name: name, discovery: Discovery(BaseDiscovery()))
    service.rules = try rules()
    if let haproxy = try section.optionalSection("haproxy") {
      service.haproxy = try ServiceSettings(service: name, section: haproxy)
      if service.rules.portOverride == nil {
        service.rules.portOverride = try haproxy.optionalInt("server_port_override", in: 1...65_535)
      }
    }
    let hasPortOverride = service.rules.portOverride != nil
    service.discovery = try Discovery(of: section, hasPortOverride: hasPortOverride, environment: environment)
    if let output = try section.optionalSection("file_output") {
      service.writesFile = try !output.bool("disabled", default: !service.writesFile)
    }
    if let output = try section.optionalSection("exec_output") {
      service.isTold = try !output.bool("disabled", default: !service.isTold)
    }
    guard let copies = try section.optionalInt("load_test_concurrency", in: 0...10_000) else { return [service] }
    return (0..<copies).map { index in
      var copy = service
      copy.name = "\(name)_\(index)"
      copy.haproxy.service = copy.name
      return copy
    }
  }

  /// A service whose reading asks for every key.
  static func sample() -> ConfigSection? {
    let text = "{discovery: {method: base}, haproxy: {}, load_test_concurrency: 1}"
    guard let document = try? YAMLDocument(Array(text.utf8), file: ""), let section = try? ConfigSection(document.root),
      (try? ServiceDecoder(name: text, section: section).decode()) != nil
    else { return nil }
    return section
  }

  /// A service's name becomes a section's and a file's.
  static func checkName(_ name: String, at node: YAMLNode) throws(ConfigError) {
    let isSafe =
      !name.isEmpty && name != "." && name != ".."
      && name.utf8.allSatisfy { byte in
        byte > 0x20 && byte < 0x7F && byte != UInt8(ascii: "/")
      }
    if !isSafe { throw node.error("'\(name)' is not a service name: it may hold no blank, slash or control character") }
  }

  private func rules() throws(ConfigError) -> BackendPolicy.Rules {
    var rules = BackendPolicy.Rules()
    for server in try section.sectionList("default_servers") {
      rules.defaultServers.append(try Backend(configured: server, port: try server.int("port", in: 1...65_535)))
    }
    rules.keepsDefaultServers = try section.bool("keep_default_servers", default: rules.keepsDefaultServers)
    rules.usesPreviousBackends = try section.bool(
      "use_previous_backends", default: rules.usesPreviousBackends)
    rules.previousBackendsWindow = try section.duration(
      "previous_backends_window", in: 0...3600, default: rules.previousBackendsWindow)
    rules.portOverride = try section.optionalInt("backend_port_override", in: 1...65_535)
    rules.electsLeader = try section.bool("leader_election", default: rules.electsLeader)
    return rules
  }
}
