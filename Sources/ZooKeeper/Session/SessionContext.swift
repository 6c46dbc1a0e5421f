internal import Logging
internal import Reactor
internal import SmartStack

/// The session in use, and what everything that sends requests over it shares.
@LoopActor final class SessionContext {
  let ensemble: ServerList
  let clock: LoopClock
  let logger: Logger
  let limits: ZooKeeperLimits
  let metrics: ZooKeeperMetrics
  let credentials: ZooKeeperCredentials?
  let own: OwnNodes
  /// Nil before the first session and between two.
  var session: ZooKeeperSession?
  /// Reports that no session can be had, and why.
  let outage: OutageReport
  /// Whether the client was closed or abandoned; final.
  var isClosed = false
  private var hasConnected = false
  /// When a connection has come last that was not the first.
  private(set) var reconnectedAt: LoopClock.Instant?

  init(
    ensemble: ServerList, clock: LoopClock, logger: Logger, limits: ZooKeeperLimits, metrics: Metrics?,
    credentials: ZooKeeperCredentials?, own: OwnNodes
  ) {
    self.ensemble = ensemble
    self.clock = clock
    self.logger = logger
    self.limits = limits
    self.metrics = ZooKeeperMetrics(metrics, ensemble: ensemble.description)
    self.credentials = credentials
    self.own = own
    outage = OutageReport(of: ensemble, clock: clock, logger: logger)
  }

  /// Notes that there is a connection.
  func noteConnection() {
    if hasConnected { reconnectedAt = clock.now }
    hasConnected = true
  }

  /// The session when requests can be sent.
  var connected: ZooKeeperSession? {
    guard let session, session.isConnected else { return nil }
    return session
  }

  /// Whether nodes that this client makes may be changed by its own identity only.
  var protectsNodes: Bool { credentials?.protectsNodes ?? false }
}
