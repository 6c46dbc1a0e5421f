internal import Logging
internal import Reactor
internal import SmartStack

/// The session in use, and what everything that sends requests over it shares.
@LoopActor final class SessionContext {
  let ensemble: ServerList
  /// Leads to servers that are spoken to by TLS.
  let relay: TLSRelay?
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
  private let madeAt: LoopClock.Instant
  /// A first connection that takes longer has waited for the ensemble.
  private static let connectLimit = Duration.seconds(3)
  /// When a connection has come last that was lost before, or that the ensemble kept waiting for.
  private(set) var reconnectedAt: LoopClock.Instant?

  init(
    ensemble: ServerList, tls: TLSOptions?, clock: LoopClock, logger: Logger, limits: ZooKeeperLimits,
    metrics: Metrics?,
    credentials: ZooKeeperCredentials?, own: OwnNodes
  ) {
    self.ensemble = ensemble
    relay = tls.map { TLSRelay($0, logger: logger) }
    self.clock = clock
    self.logger = logger
    self.limits = limits
    self.metrics = ZooKeeperMetrics(metrics, ensemble: ensemble.description)
    self.credentials = credentials
    self.own = own
    madeAt = clock.now
    outage = OutageReport(of: ensemble, tls: tls, clock: clock, logger: logger)
  }

  /// Whether a first connection that was asked for at `start` has had to wait for the ensemble.
  static func hadToWait(since start: LoopClock.Instant?, clock: LoopClock) -> Bool {
    start.map { clock.now - $0 > connectLimit } ?? false
  }

  func noteConnection() {
    if hasConnected || SessionContext.hadToWait(since: madeAt, clock: clock) { reconnectedAt = clock.now }
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
