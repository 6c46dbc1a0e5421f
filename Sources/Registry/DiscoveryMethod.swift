public import YAMLConfig

/// The discovery methods, by their word in a configuration file.
enum DiscoveryMethod: String, CaseIterable, Sendable {
  case base
  case zookeeper
  case zookeeperPoll = "zookeeper_poll"
  case zookeeperDNS = "zookeeper_dns"
  case zookeeperDNSPoll = "zookeeper_dns_poll"
  case dns
  case file
  case etcd
  case docker
  case marathon
  case ec2tag
  case multi

  fileprivate var settings: any DiscoverySettings.Type {
    switch self {
    case .base: BaseDiscovery.self
    case .zookeeper, .zookeeperPoll: ZooKeeperDiscovery.self
    case .zookeeperDNS, .zookeeperDNSPoll: ZooKeeperDNSDiscovery.self
    case .dns: DNSDiscovery.self
    case .file: FileDiscovery.self
    case .etcd: EtcdDiscovery.self
    case .docker: DockerDiscovery.self
    case .marathon: MarathonDiscovery.self
    case .ec2tag: EC2Discovery.self
    case .multi: MultiDiscovery.self
    }
  }
}

extension Discovery {
  /// Decodes `discovery` and `discovery_multi` of one service.
  /// - Parameters:
  ///   - hasPortOverride: whether registrations may come without a port.
  ///   - environment: for credentials that no file holds.
  public init(
    of service: ConfigSection, hasPortOverride: Bool, environment: [String: String]
  ) throws(ConfigError) {
    guard let multi = try service.optionalSection("discovery_multi") else {
      try self.init(service.section("discovery"), hasPortOverride: hasPortOverride, environment: environment)
      return
    }
    var source = Discovery.source(
      of: multi, method: .multi, hasPortOverride: hasPortOverride, environment: environment)
    source.primary = service.node("discovery")
    self.init(try MultiDiscovery(source))
  }

  private init(
    _ section: ConfigSection, hasPortOverride: Bool, environment: [String: String]
  ) throws(ConfigError) {
    let word = try section.string("method")
    guard let method = DiscoveryMethod(rawValue: word.lowercased()) else {
      throw section.error(at: "method", "there is no discovery method '\(word)'")
    }
    let source = Discovery.source(
      of: section, method: method, hasPortOverride: hasPortOverride, environment: environment)
    let filters = try LabelFilter.list(in: section)
    // The parts of a multi have filters of their own.
    self.init(try method.settings.init(source), labelFilters: method == .multi ? [] : filters)
  }

  private static func source(
    of section: ConfigSection, method: DiscoveryMethod, hasPortOverride: Bool, environment: [String: String]
  ) -> DiscoverySource {
    DiscoverySource(
      section: section, method: method.rawValue, hasPortOverride: hasPortOverride, environment: environment
    ) { (part) throws(ConfigError) in
      try Discovery(part, hasPortOverride: hasPortOverride, environment: environment)
    }
  }
}
