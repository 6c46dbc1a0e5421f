internal import Reactor
public import ZooKeeper

/// Place and content of one service's registration in ZooKeeper.
public struct ZooKeeperTarget: Hashable, Sendable {
  /// One session per distinct list.
  public internal(set) var ensemble: ServerList
  /// The node: its directory, name, data and mode.
  var registration: Registration
  /// `ttl_seconds`: how often a persistent node is written again, so that its mtime shows that the agent lives.
  var renewal: Duration?
  /// `use_path_encoding`: length of the encoded payload, also of one that is too long for a name.
  public internal(set) var encodedBytes: Int?

  /// The directory that holds the service's registrations.
  public var directory: String { registration.directory }
}
