internal import Logging
internal import Reactor
internal import SmartStack
internal import ZooKeeper

/// The ensembles in use: one session each, saved while it lives, ended when no service needs it any more.
@LoopActor final class Ensembles {
  private let clients: ZooKeeperClients
  private let store: SessionStore?
  private let logger: Logger
  private let clock: LoopClock
  private var known: [String: Ensemble] = [:]
  private var users: [String: Int] = [:]

  /// - Parameters:
  ///   - credentials: who we are to each ensemble.
  ///   - inherited: `SavedSession.text` by ensemble, from the program that this one replaced.
  init(
    sessionTimeout: Duration, credentials: ZooKeeperCredentials? = nil, store: SessionStore?,
    inherited: [String: String] = [:], clock: LoopClock,
    logger: Logger, metrics: Metrics
  ) {
    self.store = store
    self.clock = clock
    self.logger = logger
    clients = ZooKeeperClients(
      sessionTimeout: sessionTimeout, clock: clock, logger: logger, metrics: metrics, credentials: credentials,
      savedSession: { inherited[$0].flatMap { SavedSession(text: $0) } ?? store?.load($0) })
  }

  /// The ensemble of `target`, for a user that calls ``leave(_:)`` when it is done.
  func join(_ target: ZooKeeperTarget, original: OriginalMetrics) -> Ensemble {
    users[target.ensemble, default: 0] += 1
    original.clientTaken(of: target, isNew: known[target.ensemble] == nil)
    if let ensemble = known[target.ensemble] { return ensemble }
    let client = clients.client(for: [target.ensemble])
    let ensemble = Ensemble(connection: target.ensemble, client: client, clock: clock)
    known[target.ensemble] = ensemble
    client.onState { [weak self] in self?.stateChanged(ensemble, $0) }
    ensemble.start()
    return ensemble
  }

  /// Ends the session of an ensemble that nobody uses any more.
  func leave(_ target: ZooKeeperTarget) async {
    users[target.ensemble, default: 0] -= 1
    guard users[target.ensemble] == 0 else { return }
    users[target.ensemble] = nil
    known[target.ensemble] = nil
    logger.info("ensemble no longer used", [.ensemble: target.ensemble])
    await clients.close(target.ensemble)
    if known[target.ensemble] == nil { store?.forget(target.ensemble) }
  }

  /// Deletes what an earlier run's session left behind and no service wants; called when every service
  /// has said what it wants.
  func dropLeftovers(in directories: [String: Set<String>]) {
    for (connection, ensemble) in known { ensemble.dropLeftovers(in: directories[connection] ?? []) }
  }

  /// Ends every session, and with it every ephemeral registration.
  func closeAll() async {
    let leaving = known.keys
    known = [:]
    users = [:]
    await clients.closeAll()
    for connection in leaving { store?.forget(connection) }
  }

  /// Leaves every session alive; its file stays for the successor.
  func abandonAll() async {
    known = [:]
    users = [:]
    _ = await clients.abandonAll()
  }

  /// The sessions in use, by ensemble.
  var sessions: [String: SavedSession] { known.compactMapValues { $0.client.savedSession } }
  /// Whether every ensemble is connected.
  var areConnected: Bool {
    known.values.allSatisfy { if case .connected = $0.client.state { true } else { false } }
  }

  private func stateChanged(_ ensemble: Ensemble, _ state: ConnectionState) {
    guard case .connected = state, let session = ensemble.client.savedSession else { return }
    store?.save(session, of: ensemble.connection)
  }
}
