public import Reactor

/// One key of an etcd.
public struct EtcdTarget: Hashable, Sendable {
  /// The servers of the etcd.
  public var cluster: EtcdSettings
  /// `etcd_path/INSTANCE/SERVICE`, with a slash at its beginning.
  public var key: String
  /// The value of the key.
  public var data: [UInt8]

  /// A key with that value.
  public init(cluster: EtcdSettings, key: String, data: [UInt8]) {
    self.cluster = cluster
    self.key = key
    self.data = data
  }
}

/// Address and dialect of one etcd; one lease per distinct value.
public struct EtcdSettings: Hashable, Sendable {
  /// Tried in turn; at least one.
  public var endpoints: [Endpoint]
  /// The interface to speak.
  public var api: API
  /// Seconds that a registration outlives an agent that is gone.
  public var lifetime: Int

  /// An etcd at these endpoints.
  public init(endpoints: [Endpoint], api: API, lifetime: Int) {
    self.endpoints = endpoints
    self.api = api
    self.lifetime = lifetime
  }

  /// The interface of etcd: `etcd_api`.
  public enum API: String, Hashable, Sendable, CaseIterable {
    /// v2 where the server has it, else v3.
    case auto
    /// The HTTP interface of etcd 2, with a time to live per key: upstream's.
    case v2
    /// The JSON gateway of etcd 3, with one lease.
    case v3
  }
}
