internal import HAProxyConfigGen
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
    var service = ServiceConfiguration(name: name, discovery: DiscoveryConfiguration(.base))
    service.rules = try rules()
    if let haproxy = try section.optionalSection("haproxy") {
      service.haproxy = try ServiceSettings(service: name, section: haproxy)
      if service.rules.portOverride == nil {
        service.rules.portOverride = try haproxy.optionalInt("server_port_override", in: 1...65_535)
      }
    }
    let hasPortOverride = service.rules.portOverride != nil
    service.discovery = try DiscoveryDecoder(
      service: section, hasPortOverride: hasPortOverride, environment: environment
    ).decode()
    if let output = try section.optionalSection("file_output") {
      service.writesFile = try !output.bool("disabled", default: false)
    }
    if let output = try section.optionalSection("exec_output") {
      service.isTold = try !output.bool("disabled", default: false)
    }
    guard let copies = try section.optionalInt("load_test_concurrency", in: 0...10_000) else { return [service] }
    return (0..<copies).map { index in
      var copy = service
      copy.name = "\(name)_\(index)"
      copy.haproxy.service = copy.name
      return copy
    }
  }

  /// A service's name becomes a section's and a file's.
  static func checkName(_ name: String, at node: YAMLNode) throws(ConfigError) {
    let isSafe =
      !name.isEmpty && name != "." && name != ".."
      && name.utf8.allSatisfy { byte in
        byte > 0x20 && byte < 0x7F && byte != UInt8(ascii: "/")
      }
    if !isSafe { throw node.error("'\(name)' is no service name: it may hold no blank, slash or control character") }
  }

  private func rules() throws(ConfigError) -> BackendPolicy.Rules {
    var rules = BackendPolicy.Rules()
    for server in try section.sectionList("default_servers") {
      rules.defaultServers.append(try ServiceDecoder.backend(server, port: try server.int("port", in: 1...65_535)))
    }
    rules.keepsDefaultServers = try section.bool("keep_default_servers", default: false)
    rules.usesPreviousBackends = try section.bool("use_previous_backends", default: true)
    rules.previousBackendsWindow = try section.duration(
      "previous_backends_window", in: 0...3600, default: rules.previousBackendsWindow)
    rules.portOverride = try section.optionalInt("backend_port_override", in: 1...65_535)
    rules.electsLeader = try section.bool("leader_election", default: false)
    return rules
  }

  /// One server as a configuration file has it.
  static func backend(_ server: ConfigSection, port: Int) throws(ConfigError) -> Backend {
    var backend = Backend(name: try server.optionalString("name"), host: try server.string("host"), port: port)
    backend.id = try server.optionalInt("id")
    backend.weight = try server.optionalInt("weight", in: 0...Int.max)
    backend.haproxyServerOptions = try server.optionalString("haproxy_server_options")
    try checkText(backend, server)
    backend.haproxyServerID = try server.optionalInt("haproxy_server_id", in: 1...Int(Int32.max))
    if server.node("labels") != nil {
      var labels = Labels()
      for entry in try server.entries("labels") { labels[entry.name] = ServiceDecoder.label(entry.value) }
      backend.labels = labels
    }
    return backend
  }

  /// The rules that registrations are held to.
  private static func checkText(_ backend: Backend, _ server: ConfigSection) throws(ConfigError) {
    if !ServerText.isHost(backend.host) {
      throw server.error(at: "host", "\(JSONText.quoted(backend.host)) is neither an address nor a host name")
    }
    if let name = backend.name, !name.isEmpty, !ServerText.isName(name) {
      throw server.error(at: "name", "\(JSONText.quoted(name)) is no server name: letters, digits and -_.: only")
    }
    if let options = backend.haproxyServerOptions, let trouble = ServerText.troubleWithOptions(options) {
      throw server.error(at: "haproxy_server_options", trouble)
    }
  }

  static func label(_ node: YAMLNode) -> LabelValue {
    if case .scalar(let scalar) = node.value, scalar.kind == .text { return .text(scalar.text) }
    return .json(node.json())
  }
}
