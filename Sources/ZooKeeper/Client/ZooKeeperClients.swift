public import Logging
public import Reactor
public import SmartStack

/// One started client per ensemble, however many services name it.
@LoopActor public final class ZooKeeperClients {
  private let clock: LoopClock
  private let logger: Logger
  private let metrics: Metrics?
  private var clients: [String: ZooKeeperClient] = [:]

  /// Creates a table without clients; each logs and counts there.
  public init(clock: LoopClock = .system, logger: Logger, metrics: Metrics? = nil) {
    (self.clock, self.logger, self.metrics) = (clock, logger, metrics)
  }

  /// What two lists of the same servers have in common: the servers in sorted order, joined with commas.
  public nonisolated static func key(for hosts: [String]) -> String { hosts.sorted().joined(separator: ",") }

  /// The ensemble's client, started; the same one for the same servers in any order.
  public func client(for hosts: [String]) -> ZooKeeperClient {
    let key = Self.key(for: hosts)
    if let known = clients[key] { return known }
    let made = ZooKeeperClient(connection: key, clock: clock, logger: logger, metrics: metrics)
    clients[key] = made
    made.start()
    return made
  }

  /// The clients there are, by ``key(for:)``.
  public var all: [String: ZooKeeperClient] { clients }

  /// Ends one ensemble's session when no service needs it any more.
  public func close(_ key: String) async { await clients.removeValue(forKey: key)?.close() }

  /// Ends every session, all at the same time.
  public func closeAll() async {
    let ending = clients.values
    clients = [:]
    await withDiscardingTaskGroup { group in
      for client in ending { group.addTask { await client.close() } }
    }
  }
}
