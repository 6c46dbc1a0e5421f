internal import Reactor
internal import SmartStack

/// A `discovery` section with one of the methods that read ZooKeeper.
public struct ZooKeeperDiscovery: Hashable, Sendable {
  /// The registrations' format.
  public enum Decoding: Hashable, Sendable {
    case nerve
    /// With the name of the additional endpoint to use, if one is asked for.
    case serverset(endpoint: String?)

    /// A node's data as this format has it.
    func decode(payload: [UInt8], name: String) throws(RegistrationProblem) -> DecodedBackend {
      switch self {
      case .nerve: try RegistrationCodec.decode(payload: payload, name: name)
      case .serverset(let endpoint):
        try RegistrationCodec.decodeServerset(payload: payload, name: name, endpoint: endpoint)
      }
    }
  }

  /// `host:port` each.
  public var hosts: [String]
  /// The directory of the registrations, without a trailing slash.
  public var path: String
  /// The registrations' format.
  public var decoding: Decoding = .nerve
  /// The znode that holds generator sections for the service; nil: none is read.
  public var generatorConfigPath: String?
  /// The least time between two publications, `discovery_jitter`; nil: none.
  public var jitter: Duration?
  /// `polling_interval_sec`: how often it is read; nil: watched.
  public var pollInterval: Duration?

  /// The ensemble as the original's metrics name it: the first host's name without its domain and last digits.
  var cluster: String {
    let host = hosts.min() ?? ""
    let name = host.prefix { $0 != "." }
    guard let last = name.lastIndex(where: { !("0"..."9").contains($0) }) else { return host }
    return String(name[...last])
  }

  /// A directory of nerve's; its own data holds the generator sections.
  public init(hosts: [String], path: String) {
    self.hosts = hosts
    self.path = path
    generatorConfigPath = path
  }
}
