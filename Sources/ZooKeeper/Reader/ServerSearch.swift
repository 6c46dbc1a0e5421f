internal import Logging
internal import Reactor
internal import SmartStack

/// Finds a server of an ensemble for a session that owns nothing, one connection after another.
@LoopActor final class ServerSearch {
  /// How long after its loss a session is asked for at servers that take another one.
  private static let patience: Duration = .seconds(2)

  private let ensemble: ServerList
  private let tls: TLSOptions?
  private let timeout: Duration
  private let names: NameResolver
  private let metrics: ZooKeeperMetrics
  private let clock: LoopClock
  private let logger: Logger
  /// Nil: the next connection opens one.
  private var session: WireConnection.Session?
  private var lostAt: LoopClock.Instant?

  init(
    of ensemble: ServerList, tls: TLSOptions?, timeout: Duration, names: NameResolver, metrics: ZooKeeperMetrics,
    clock: LoopClock, logger: Logger
  ) {
    (self.ensemble, self.tls, self.timeout, self.names, self.metrics) = (ensemble, tls, timeout, names, metrics)
    (self.clock, self.logger) = (clock, logger)
  }

  /// Tries each server once, in random order.
  /// - Returns: nil when none took the session.
  func connect(
    onEvent: @escaping @LoopActor (WireConnection.Change, _ path: String) -> Void
  ) async -> WireConnection? {
    let addresses = await ensemble.addresses(by: names, deadline: timeout / 3, isFresh: lostAt != nil)
    for (address, host) in addresses.shuffled() {
      do {
        if let session, let resumed = try await open(address, of: host, resuming: session, onEvent: onEvent) {
          return resumed
        }
        if session != nil {
          metrics.expiries.increment()
          logger.warning("session ended", with: [.ensemble: ensemble, .reason: "the session has expired"])
        }
        session = nil
        if let opened = try await open(address, of: host, resuming: WireConnection.Session(), onEvent: onEvent) {
          return opened
        }
      } catch {
        if Task.isCancelled { return nil }
        logger.debug("session not opened", with: [.ensemble: ensemble, .reason: "\(error)"])
        if let opened = await replaceSession(at: address, of: host, onEvent: onEvent) { return opened }
      }
    }
    return nil
  }

  private func open(
    _ address: String, of host: String, resuming session: WireConnection.Session,
    onEvent: @escaping @LoopActor (WireConnection.Change, _ path: String) -> Void
  ) async throws -> WireConnection? {
    guard let endpoint = ServerList.endpoint(of: address) else { return nil }
    return try await WireConnection.open(
      to: endpoint, tls: tls?.toward(host), resuming: session, timeout: timeout, metrics: metrics, clock: clock,
      onEvent: onEvent)
  }

  /// A server that has not seen the session's last change refuses it: after an ensemble was emptied, restored, or replaced
  /// behind the same names, for ever. It serves others meanwhile; one that takes no session at all is only not there yet.
  private func replaceSession(
    at address: String, of host: String,
    onEvent: @escaping @LoopActor (WireConnection.Change, _ path: String) -> Void
  ) async -> WireConnection? {
    guard let session, let lostAt, clock.now - lostAt > ServerSearch.patience,
      let opened = try? await open(address, of: host, resuming: WireConnection.Session(), onEvent: onEvent)
    else { return nil }
    // It may have begun to serve between the two.
    if let resumed = try? await open(address, of: host, resuming: session, onEvent: onEvent) {
      await opened.endSession()
      return resumed
    }
    logger.warning(
      "session not accepted, asked for again; the registry may be older than this session",
      with: [.ensemble: ensemble, .session: session.identity.number])
    metrics.expiries.increment()
    self.session = nil
    return opened
  }

  func lost(_ connection: WireConnection) { (session, lostAt) = (connection.session, clock.now) }
}
