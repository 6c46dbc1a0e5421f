internal import SmartStack
public import YAMLConfig
public import ZooKeeper

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

  /// The ensemble that holds the directory.
  public var ensemble: ServerList
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

  /// Children of `path`, as nerve keeps them.
  public init(ensemble: ServerList, path: String) {
    self.ensemble = ensemble
    self.path = path
  }
}

extension ZooKeeperDiscovery {
  /// Decodes a section with method zookeeper, zookeeper_poll, or one that looks up their hosts.
  public init(_ source: DiscoverySource) throws(ConfigError) {
    let section = source.section
    self.init(ensemble: try section.ensemble("hosts"), path: try ZooKeeperDiscovery.path("path", in: section))
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

extension ConfigSection {
  /// The servers of an ensemble: a list, or one text with commas.
  func ensemble(_ key: String) throws(ConfigError) -> ServerList {
    let hosts = try required(key).strings()
    do {
      return try ServerList(hosts)
    } catch {
      throw self.error(at: key, error.description)
    }
  }
}
