internal import Reactor
internal import ZooKeeper

/// Place and content of one service's registration in ZooKeeper.
public struct ZooKeeperTarget: Hashable, Sendable {
  /// `host:port,host:port[/chroot]`, hosts sorted: one session per distinct text.
  var ensemble: String
  /// The node: its directory, name, data and mode.
  var registration: Registration
  /// `ttl_seconds`: how often a persistent node is written again, so that its mtime shows that the agent lives.
  var renewal: Duration?
  /// `use_path_encoding`: length of the encoded payload, also of one that is too long for a name.
  public internal(set) var encodedBytes: Int?

  /// The directory that holds the service's registrations.
  public var directory: String { registration.directory }

  /// The ensemble's short name in upstream's metric tags: the first host's first label without the digits at its end.
  public var cluster: String {
    let host = ensemble.split(separator: ",").first.map(String.init) ?? ensemble
    let label = host.split(separator: ".").first.map(String.init) ?? host
    guard let last = label.lastIndex(where: { !("0"..."9").contains($0) }) else { return host }
    return String(label[...last])
  }
}
