internal import SmartStack
internal import YAMLConfig

/// Decodes `discovery` and `discovery_multi` of one service.
struct DiscoveryDecoder {
  /// The service's section.
  let service: ConfigSection
  /// Whether registrations may come without a port.
  let hasPortOverride: Bool
  /// For credentials that no file holds.
  let environment: [String: String]

  func decode() throws(ConfigError) -> DiscoveryConfiguration {
    guard let multi = try service.optionalSection("discovery_multi") else {
      return try discovery(service.section("discovery"))
    }
    return try self.multi(multi, primary: service.node("discovery"))
  }

  private func discovery(_ discovery: ConfigSection) throws(ConfigError) -> DiscoveryConfiguration {
    let method = try discovery.string("method")
    let filters = try labelFilters(discovery)
    func made(_ method: DiscoveryConfiguration.Method) -> DiscoveryConfiguration {
      DiscoveryConfiguration(method, labelFilters: filters)
    }
    switch method.lowercased() {
    case "base": return made(.base)
    case "zookeeper": return made(.zookeeper(try zookeeper(discovery)))
    case "zookeeper_poll": return made(.zookeeper(try polled(discovery)))
    case "zookeeper_dns": return made(.zookeeperDNS(try zookeeper(discovery), try names(discovery)))
    case "zookeeper_dns_poll": return made(.zookeeperDNS(try polled(discovery), try names(discovery)))
    case "dns": return made(.dns(try dns(discovery)))
    case "file": return made(.file(try file(discovery)))
    case "etcd": return made(.etcd(try etcd(discovery)))
    case "docker": return made(.docker(try docker(discovery)))
    case "marathon": return made(.marathon(try marathon(discovery)))
    case "multi": return try multi(discovery, primary: nil)
    case "ec2tag": return made(.ec2tag(try ec2(discovery)))
    default: throw discovery.error(at: "method", "there is no discovery method '\(method)'")
    }
  }

  // MARK: ZooKeeper

  private func zookeeper(_ discovery: ConfigSection) throws(ConfigError) -> ZooKeeperDiscovery {
    let hosts = try discovery.required("hosts").strings()
    if hosts.isEmpty { throw discovery.error(at: "hosts", "at least one ZooKeeper server is needed") }
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
    result.jitter = try discovery.optionalDuration("discovery_jitter")
    if let jitter = result.jitter, jitter > .seconds(120) {
      discovery.warn(at: "discovery_jitter", "is outside 0...120, and ignored")
      result.jitter = nil
    }
    return result
  }

  private func polled(_ discovery: ConfigSection) throws(ConfigError) -> ZooKeeperDiscovery {
    var result = try zookeeper(discovery)
    // Less than half a second was never less: the original looked at its clock that often.
    let interval = try discovery.duration("polling_interval_sec", in: 0...86_400, default: .seconds(60))
    result.pollInterval = max(interval, .milliseconds(500))
    return result
  }

  private func path(_ key: String, _ discovery: ConfigSection) throws(ConfigError) -> String {
    var path = try discovery.string(key)
    while path.utf8.count > 1, path.hasSuffix("/") { path.removeLast() }
    guard path.hasPrefix("/"), !path.utf8.contains(0), !path.contains("//") else {
      throw discovery.error(at: key, "'\(path)' is no absolute ZooKeeper path")
    }
    return path
  }

  // MARK: Several

  private func multi(_ multi: ConfigSection, primary: YAMLNode?) throws(ConfigError) -> DiscoveryConfiguration {
    _ = try multi.choice("method", of: ["multi"], default: "multi")
    var parts: [NamedDiscovery] = []
    for (name, part) in try multi.sections("watchers") where primary == nil || name != "primary" {
      parts.append(NamedDiscovery(name: name, discovery: try discovery(part)))
    }
    if let primary { parts.append(NamedDiscovery(name: "primary", discovery: try discovery(service.adopt(primary)))) }
    if parts.isEmpty { throw multi.error(at: "watchers", "at least one watcher is needed") }
    let resolver = try multi.section("resolver")
    return DiscoveryConfiguration(.multi(parts, try self.resolver(resolver, names: parts.map(\.name))))
  }

  private func resolver(_ resolver: ConfigSection, names: [String]) throws(ConfigError) -> MultiResolver {
    let method = try resolver.string("method")
    switch method.lowercased() {
    case "union": return .union
    case "sequential":
      let order = try resolver.required("sequential_order").strings()
      if Set(order) != Set(names) || order.count != names.count {
        throw resolver.error(
          at: "sequential_order", "must name each watcher once: \(names.sorted().joined(separator: ", "))")
      }
      return .sequential(order)
    case "s3_toggle": return .toggle(try toggle(resolver))
    default: throw resolver.error(at: "method", "there is no resolver '\(method)'")
    }
  }

  private func toggle(_ resolver: ConfigSection) throws(ConfigError) -> ToggleConfiguration {
    let text = try resolver.string("s3_url")
    let source: ToggleConfiguration.Source
    if text.hasPrefix("file:///") {
      source = .file(String(text.dropFirst("file://".count)))
    } else if let address = WebAddress(text) {
      source = .web(address)
    } else if text.hasPrefix("s3://") {
      throw resolver.error(
        at: "s3_url", "'s3://' is not available in this version; file:///path, http:// and https:// addresses are")
    } else {
      throw resolver.error(at: "s3_url", "'\(text)' is no file:///path, http:// or https:// address")
    }
    return ToggleConfiguration(
      source: source, interval: try resolver.duration("s3_polling_interval_seconds", in: 0.1...86_400))
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
