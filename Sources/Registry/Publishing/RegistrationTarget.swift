internal import Reactor
internal import ZooKeeper

/// Place and content of one service's registration, of whichever kind.
public enum RegistrationTarget: Hashable, Sendable {
  /// A registration in ZooKeeper, a znode.
  case zooKeeper(ZooKeeperTarget)
  /// A key of an etcd.
  case etcd(EtcdTarget)
  /// A registration as a JSON file.
  case file(FileTarget)

  /// Whether the registration is removed for certain when the registry is told that this agent ends. A znode of a fixed
  /// name may be another session's that was taken over.
  public var goesWithSession: Bool {
    switch self {
    case .zooKeeper(let target): target.registration.mode == .ephemeralSequential
    case .etcd: true
    case .file: false
    }
  }

  var data: [UInt8] {
    switch self {
    case .zooKeeper(let target): target.registration.data
    case .etcd(let target): target.data
    case .file(let target): target.data
    }
  }

  /// How often the record is written again; nil for never.
  var renewal: Duration? {
    switch self {
    case .zooKeeper(let target): target.registration.mode.isEphemeral ? nil : target.renewal
    case .etcd: nil
    case .file(let target): target.renewal
    }
  }
}
