internal import Reactor
internal import ZooKeeper

/// Where and as what a service is registered.
enum RegistryConfiguration: Hashable, Sendable {
  case zooKeeper(ZooKeeperTarget)
  case etcd(EtcdTarget)
  case file(FileTarget)

  /// The target in ZooKeeper, if that is where the service goes.
  var zooKeeper: ZooKeeperTarget? { if case .zooKeeper(let target) = self { target } else { nil } }

  /// Whether the registration goes for certain when the registry is told that this agent ends.
  var goesWithSession: Bool {
    switch self {
    case .zooKeeper(let target): target.goesWithSession
    case .etcd: true
    case .file: false
    }
  }
}

/// Where and as what a service is registered in ZooKeeper.
struct ZooKeeperTarget: Hashable, Sendable {
  /// `host:port,host:port[/chroot]`, hosts sorted: one session per distinct text.
  var ensemble: String
  var registration: Registration
  /// `ttl_seconds`: how often a persistent node is written again, so that its mtime tells that we live.
  var renewal: Duration?
  /// `use_path_encoding`: how long the payload is as part of a name, be it too long for one.
  var encodedBytes: Int?
}

extension ZooKeeperTarget {
  /// Where the registrations of the service are.
  var directory: String { registration.directory }
  /// Whether the registration goes with our session for certain. A node of a fixed name may be somebody
  /// else's that was there before and was taken over.
  var goesWithSession: Bool { registration.mode == .ephemeralSequential }

  /// The ensemble's short name in the original's metric tags: the first host's first label without the
  /// digits at its end.
  var cluster: String {
    let host = ensemble.split(separator: ",").first.map(String.init) ?? ensemble
    let label = host.split(separator: ".").first.map(String.init) ?? host
    guard let last = label.lastIndex(where: { !("0"..."9").contains($0) }) else { return host }
    return String(label[...last])
  }
}

/// One JSON file in a directory.
struct FileTarget: Hashable, Sendable {
  /// `file_path`, without a trailing slash.
  var directory: String
  /// `SERVICE@INSTANCE.json`.
  var name: String
  var data: [UInt8]
  /// `ttl_seconds`: how often the file is written again.
  var renewal: Duration?

  var path: String { "\(directory)/\(name)" }
}

/// One key of an etcd.
struct EtcdTarget: Hashable, Sendable {
  var cluster: EtcdSettings
  /// `etcd_path/INSTANCE/SERVICE`, with a slash at its beginning.
  var key: String
  var data: [UInt8]
}

/// What talking to one etcd needs; one lease per distinct value.
struct EtcdSettings: Hashable, Sendable {
  /// Tried in turn; at least one.
  var endpoints: [Endpoint]
  var api: API
  /// Seconds that a registration outlives an agent that is gone.
  var lifetime: Int

  /// `etcd_api`.
  enum API: String, Hashable, Sendable, CaseIterable {
    /// v2 where the server has it, else v3.
    case auto
    /// The HTTP interface of etcd 2, with a time to live per key: the original's.
    case v2
    /// The JSON gateway of etcd 3, with one lease.
    case v3
  }
}
