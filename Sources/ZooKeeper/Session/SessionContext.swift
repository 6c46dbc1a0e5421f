internal import Logging
internal import Reactor

/// The session in use, and what everything that sends requests over it shares.
@LoopActor final class SessionContext {
  let clock: LoopClock
  let logger: Logger
  let limits: ZooKeeperLimits
  let metrics: ZooKeeperMetrics
  let credentials: ZooKeeperCredentials?
  /// Nil before the first session and between two.
  var session: ZooKeeperSession?
  /// Whether the client was closed or abandoned; final.
  var isClosed = false

  init(
    clock: LoopClock, logger: Logger, limits: ZooKeeperLimits, metrics: ZooKeeperMetrics,
    credentials: ZooKeeperCredentials?
  ) {
    self.clock = clock
    self.logger = logger
    self.limits = limits
    self.metrics = metrics
    self.credentials = credentials
  }

  /// The session when requests can be sent.
  var connected: ZooKeeperSession? {
    guard let session, session.isConnected else { return nil }
    return session
  }

  /// Whether nodes that this client makes may be changed by its own identity only.
  var protectsNodes: Bool { credentials?.protectsNodes ?? false }
}
