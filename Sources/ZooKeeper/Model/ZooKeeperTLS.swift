public import Reactor
internal import SmartStack

/// How ensembles are spoken to by TLS. Chain and name are always verified; nothing falls back to plain text.
public struct ZooKeeperTLS: Hashable, Sendable {
  /// Counts for every ensemble that has one of these servers; nil: for all ensembles.
  public var servers: ServerList?
  /// Without a name of its own, each server is verified by the host that the ensemble's list has for it.
  public var options: TLSOptions

  /// - Parameter servers: see ``servers``.
  public init(servers: ServerList?, options: TLSOptions) { (self.servers, self.options) = (servers, options) }
}

extension [ZooKeeperTLS] {
  /// The first that counts for an ensemble; nil: it is spoken to in plain text.
  public func options(for ensemble: ServerList) -> TLSOptions? {
    first { $0.servers.map { Set($0.servers).isDisjoint(with: ensemble.servers) } != true }?.options
  }
}

extension TLSOptions {
  /// For one server, by the host that a list of servers has for it.
  func toward(_ host: String) -> TLSOptions {
    var options = self
    options.serverName = serverName ?? host
    return options
  }
}
