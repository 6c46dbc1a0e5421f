internal import HAProxyConfigGen
internal import SmartStack
internal import YAMLConfig

/// Decodes one entry of `services`.
struct ServiceDecoder {
  let name: String
  let section: ConfigSection

  /// - Returns: one service, or as many numbered copies as `load_test_concurrency` asks for.
  func decode() throws(ConfigError) -> [ServiceConfiguration] {
    var service = ServiceConfiguration(name: name, discovery: try discovery())
    service.rules = try rules()
    if let haproxy = try section.optionalSection("haproxy") {
      service.haproxy = try HAProxySectionDecoder.service(name, haproxy)
      if service.rules.portOverride == nil {
        service.rules.portOverride = try haproxy.optionalInt("server_port_override", in: 1...65_535)
      }
    }
    if let output = try section.optionalSection("file_output") {
      service.writesFile = try !output.bool("disabled", default: false)
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
    for server in try section.sectionList("default_servers") { rules.defaultServers.append(try backend(server)) }
    rules.keepsDefaultServers = try section.bool("keep_default_servers", default: false)
    rules.usesPreviousBackends = try section.bool("use_previous_backends", default: true)
    rules.previousBackendsWindow = try section.duration(
      "previous_backends_window", in: 0...3600, default: rules.previousBackendsWindow)
    rules.portOverride = try section.optionalInt("backend_port_override", in: 1...65_535)
    rules.electsLeader = try section.bool("leader_election", default: false)
    return rules
  }

  private func backend(_ server: ConfigSection) throws(ConfigError) -> Backend {
    var backend = Backend(
      name: try server.optionalString("name"), host: try server.string("host"),
      port: try server.int("port", in: 1...65_535))
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
  private func checkText(_ backend: Backend, _ server: ConfigSection) throws(ConfigError) {
    if !ServerText.isHost(backend.host) {
      throw server.error("host", "\(JSONText.quoted(backend.host)) is neither an address nor a host name")
    }
    if let name = backend.name, !name.isEmpty, !ServerText.isName(name) {
      throw server.error("name", "\(JSONText.quoted(name)) is no server name: letters, digits and -_.: only")
    }
    if let options = backend.haproxyServerOptions, let trouble = ServerText.troubleWithOptions(options) {
      throw server.error("haproxy_server_options", trouble)
    }
  }

  private static func label(_ node: YAMLNode) -> LabelValue {
    if case .scalar(let scalar) = node.value, scalar.kind == .text { return .text(scalar.text) }
    return .json(node.json())
  }

  // MARK: Discovery

  private func discovery() throws(ConfigError) -> DiscoveryConfiguration {
    guard let multi = try section.optionalSection("discovery_multi") else {
      return try discovery(section.section("discovery"))
    }
    return try self.multi(multi, primary: section.node("discovery"))
  }

  private func discovery(_ discovery: ConfigSection) throws(ConfigError) -> DiscoveryConfiguration {
    let method = try discovery.string("method")
    let filters = try labelFilters(discovery)
    switch method.lowercased() {
    case "base": return DiscoveryConfiguration(.base, labelFilters: filters)
    case "zookeeper": return DiscoveryConfiguration(.zookeeper(try zookeeper(discovery)), labelFilters: filters)
    case "multi": return try multi(discovery, primary: nil)
    case "zookeeper_poll", "dns", "zookeeper_dns", "zookeeper_dns_poll", "docker", "marathon", "ec2tag":
      throw discovery.error("method", "discovery method '\(method)' is not available in this version")
    default: throw discovery.error("method", "there is no discovery method '\(method)'")
    }
  }

  private func zookeeper(_ discovery: ConfigSection) throws(ConfigError) -> ZooKeeperDiscovery {
    let hosts = try discovery.required("hosts").strings()
    if hosts.isEmpty { throw discovery.error("hosts", "at least one ZooKeeper server is needed") }
    var result = ZooKeeperDiscovery(hosts: hosts, path: try path("path", discovery))
    result.generatorConfigPath = result.path
    if let other = try discovery.optionalString("generator_config_path") {
      result.generatorConfigPath = other == "disabled" ? nil : try path("generator_config_path", discovery)
    }
    if let decode = try discovery.optionalSection("decode") {
      let method = try decode.choice("method", of: ["nerve", "serverset"])
      let endpoint = try decode.optionalString("endpoint_name")
      result.decoding = method == "serverset" ? .serverset(endpoint: endpoint) : .nerve
    }
    // The client retries for ever, with its own back-off.
    discovery.acknowledge("retry_policy")
    result.jitter = try discovery.optionalDuration("discovery_jitter", in: 0...120)
    return result
  }

  private func path(_ key: String, _ discovery: ConfigSection) throws(ConfigError) -> String {
    var path = try discovery.string(key)
    while path.utf8.count > 1, path.hasSuffix("/") { path.removeLast() }
    guard path.hasPrefix("/"), !path.utf8.contains(0), !path.contains("//") else {
      throw discovery.error(key, "'\(path)' is no absolute ZooKeeper path")
    }
    return path
  }

  private func multi(_ multi: ConfigSection, primary: YAMLNode?) throws(ConfigError) -> DiscoveryConfiguration {
    _ = try multi.choice("method", of: ["multi"], default: "multi")
    var parts: [NamedDiscovery] = []
    for (name, part) in try multi.sections("watchers") where primary == nil || name != "primary" {
      parts.append(NamedDiscovery(name: name, discovery: try discovery(part)))
    }
    if let primary { parts.append(NamedDiscovery(name: "primary", discovery: try discovery(section.adopt(primary)))) }
    if parts.isEmpty { throw multi.error("watchers", "at least one watcher is needed") }
    let resolver = try multi.section("resolver")
    return DiscoveryConfiguration(.multi(parts, try self.resolver(resolver, names: parts.map(\.name))))
  }

  private func resolver(_ resolver: ConfigSection, names: [String]) throws(ConfigError) -> MultiResolver {
    let method = try resolver.string("method")
    switch method {
    case "union": return .union
    case "sequential":
      let order = try resolver.required("sequential_order").strings()
      if Set(order) != Set(names) || order.count != names.count {
        throw resolver.error(
          "sequential_order", "must name each watcher once: \(names.sorted().joined(separator: ", "))")
      }
      return .sequential(order)
    case "s3_toggle": throw resolver.error("method", "resolver 's3_toggle' is not available in this version")
    default: throw resolver.error("method", "there is no resolver '\(method)'")
    }
  }

  private func labelFilters(_ discovery: ConfigSection) throws(ConfigError) -> [LabelFilter] {
    var nodes: [YAMLNode] = []
    if let single = discovery.node("label_filter") { nodes.append(single) }
    if let several = discovery.node("label_filters") {
      if case .mapping = several.value { nodes.append(several) } else { nodes += try several.items() }
    }
    var filters: [LabelFilter] = []
    for node in nodes where !node.isNull {
      let filter = try discovery.adopt(node)
      let condition = try filter.choice("condition", of: LabelFilter.Condition.allCases.map(\.rawValue))
      filters.append(
        LabelFilter(
          label: try filter.string("label"), value: filter.node("value").map(ServiceDecoder.label),
          condition: LabelFilter.Condition(rawValue: condition) ?? .equals))
    }
    return filters
  }
}
