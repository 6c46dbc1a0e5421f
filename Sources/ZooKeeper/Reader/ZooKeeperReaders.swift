public import Logging
public import Reactor
public import SmartStack

/// One started reader per ensemble, however many services name it.
@LoopActor public final class ZooKeeperReaders {
  private let tls: [ZooKeeperTLS]
  private let limits: ZooKeeperLimits
  private let clock: LoopClock
  private let logger: Logger
  private let metrics: Metrics?
  private var readers: [ServerList: ZooKeeperReader] = [:]

  /// Creates a table without readers; each logs and counts there.
  /// - Parameter tls: for the ensembles that it names.
  public init(
    tls: [ZooKeeperTLS] = [], limits: ZooKeeperLimits = ZooKeeperLimits(), clock: LoopClock = .system, logger: Logger,
    metrics: Metrics? = nil
  ) {
    (self.tls, self.limits, self.clock, self.logger, self.metrics) = (tls, limits, clock, logger, metrics)
  }

  /// The ensemble's reader, started.
  public func reader(for ensemble: ServerList) -> ZooKeeperReader {
    if let known = readers[ensemble] { return known }
    let made = ZooKeeperReader(
      ensemble: ensemble, tls: tls.options(for: ensemble), clock: clock, logger: logger, metrics: metrics,
      limits: limits)
    readers[ensemble] = made
    made.start()
    return made
  }

  /// The readers there are.
  public var all: [ServerList: ZooKeeperReader] { readers }

  /// Ends one ensemble's session when no service needs it any more.
  public func close(_ ensemble: ServerList) async { await readers.removeValue(forKey: ensemble)?.close() }

  /// Ends every session, all at the same time.
  public func closeAll() async {
    let ending = readers.values
    readers = [:]
    await withDiscardingTaskGroup { group in
      for reader in ending { group.addTask { await reader.close() } }
    }
  }
}
