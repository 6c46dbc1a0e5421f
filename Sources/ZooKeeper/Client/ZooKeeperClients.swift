public import Logging
public import Reactor
public import SmartStack

/// One started client per ensemble, however many services name it.
@LoopActor public final class ZooKeeperClients {
  private let clock: LoopClock
  private let logger: Logger
  private let metrics: Metrics?
  private var clients: [ServerList: ZooKeeperClient] = [:]

  /// Creates a table without clients; each logs and counts there.
  public init(clock: LoopClock = .system, logger: Logger, metrics: Metrics? = nil) {
    (self.clock, self.logger, self.metrics) = (clock, logger, metrics)
  }

  /// The ensemble's client, started.
  public func client(for ensemble: ServerList) -> ZooKeeperClient {
    if let known = clients[ensemble] { return known }
    let made = ZooKeeperClient(ensemble: ensemble, clock: clock, logger: logger, metrics: metrics)
    clients[ensemble] = made
    made.start()
    return made
  }

  /// The clients there are.
  public var all: [ServerList: ZooKeeperClient] { clients }

  /// Ends one ensemble's session when no service needs it any more.
  public func close(_ ensemble: ServerList) async { await clients.removeValue(forKey: ensemble)?.close() }

  /// Ends every session, all at the same time.
  public func closeAll() async {
    let ending = clients.values
    clients = [:]
    await withDiscardingTaskGroup { group in
      for client in ending { group.addTask { await client.close() } }
    }
  }
}
