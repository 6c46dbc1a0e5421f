internal import SmartStack
public import YAMLConfig

/// A `discovery` section with one of the methods that read ZooKeeper.
public struct ZooKeeperDiscovery: Hashable, Sendable {
  /// The format of the registrations.
  public enum Decoding: Hashable, Sendable {
    case nerve
    /// With the name of the additional endpoint to use, if one is asked for.
    case serverset(endpoint: String?)

    /// A node's data as this format has it.
    func decode(payload: [UInt8], name: String) throws(OperatorError) -> DecodedBackend {
      switch self {
      case .nerve: try RegistrationCodec.decode(payload: payload, name: name)
      case .serverset(let endpoint):
        try RegistrationCodec.decodeServerset(payload: payload, name: name, endpoint: endpoint)
      }
    }
  }

  /// The ensemble's servers, `host:port` each.
  public var hosts: [String]
  /// The directory of the registrations, without a trailing slash.
  public var path: String
  /// The format of the registrations.
  public var decoding: Decoding = .nerve
  /// The znode that holds generator sections for the service; nil: none is read.
  public var generatorConfigPath: String?
  /// The least time between two publications, `discovery_jitter`; nil: none.
  public var jitter: Duration?
  /// `polling_interval_sec`: how often it is read; nil: watched.
  public var pollInterval: Duration?

  /// The ensemble as upstream's metrics name it: the first host's name without its domain and last digits.
  var cluster: String {
    let host = hosts.min() ?? ""
    let name = host.prefix { $0 != "." }
    guard let last = name.lastIndex(where: { !("0"..."9").contains($0) }) else { return host }
    return String(name[...last])
  }

  /// Children of `path`, as nerve keeps them; its own data holds the generator sections.
  public init(hosts: [String], path: String) {
    self.hosts = hosts
    self.path = path
    generatorConfigPath = path
  }
}

extension ZooKeeperDiscovery {
  /// Decodes a section with method zookeeper, zookeeper_poll, or one that looks up their hosts.
  public init(_ source: DiscoverySource) throws(ConfigError) {
    let section = source.section
    let hosts = try section.required("hosts").strings()
    if hosts.isEmpty { throw section.error(at: "hosts", "at least one ZooKeeper server is needed") }
    self.init(hosts: hosts, path: try ZooKeeperDiscovery.path("path", in: section))
    if let other = try section.optionalString("generator_config_path") {
      generatorConfigPath =
        other == "disabled" ? nil : try ZooKeeperDiscovery.path("generator_config_path", in: section)
    }
    if let decode = try section.optionalSection("decode") {
      let isServerset = try decode.choice("method", of: ["nerve", "serverset"]) == "serverset"
      let endpoint = try decode.optionalString("endpoint_name")
      if isServerset { decoding = .serverset(endpoint: endpoint) }
    }
    // The client retries for ever, with its own back-off.
    section.acknowledge("retry_policy")
    jitter = try section.optionalDuration("discovery_jitter")
    if let wanted = jitter, wanted > .seconds(120) {
      section.warn(at: "discovery_jitter", "is outside 0...120, and ignored")
      jitter = nil
    }
    guard source.method.hasSuffix("_poll") else { return }
    // Less than half a second was never less: upstream looked at its clock that often.
    let interval = try section.duration("polling_interval_sec", in: 0...86_400, default: .seconds(60))
    pollInterval = max(interval, .milliseconds(500))
  }

  private static func path(_ key: String, in section: ConfigSection) throws(ConfigError) -> String {
    var path = try section.string(key)
    while path.utf8.count > 1, path.hasSuffix("/") { path.removeLast() }
    guard path.hasPrefix("/"), !path.utf8.contains(0), !path.contains("//") else {
      throw section.error(at: key, "'\(path)' is not an absolute ZooKeeper path")
    }
    return path
  }
}
