public import Logging
public import Reactor
public import SmartStack

/// Reads and watches what others have registered in one ensemble.
///
/// Speaks ZooKeeper's protocol itself, for two operations that servers have from 3.6 and libzookeeper lacks: one
/// recursive watch for a directory and all its nodes, and reading many nodes with one request. With an older server a
/// ``ZooKeeperClient`` stands in. The session owns nothing: losing it costs no registration.
///
/// Call ``close()`` in the end: a reader that is merely let go of stays connected.
@LoopActor public final class ZooKeeperReader {
  /// The client that stands in with servers before 3.6; nil with others.
  public private(set) var standIn: ZooKeeperClient?

  private let ensemble: ServerList
  private let clock: LoopClock
  private let logger: Logger
  private let makeStandIn: @LoopActor () -> ZooKeeperClient
  private let metrics: ZooKeeperMetrics
  private let search: ServerSearch
  private let follower: PathFollower
  private let outage: OutageReport
  private var connection: WireConnection?
  private var lastReconnect: LoopClock.Instant?
  private var hasConnected = false
  private var startedAt: LoopClock.Instant?
  /// Happens with the next connection.
  private var nextConnection = OneShotEvent<Void>()
  private var running: Task<Void, Never>?

  /// Creates a reader that does not connect yet.
  /// - Parameters:
  ///   - ensemble: the servers; their names are looked up for each search.
  ///   - tls: nil speaks in plain text.
  ///   - sessionTimeout: what is asked for; the server may give more or less.
  ///   - metrics: where requests, watches, reconnects and expiries are counted.
  ///   - names: looks the servers' names up.
  public init(
    ensemble: ServerList, tls: TLSOptions? = nil, sessionTimeout: Duration = .seconds(10), clock: LoopClock = .system,
    logger: Logger,
    metrics: Metrics? = nil, limits: ZooKeeperLimits = ZooKeeperLimits(), names: NameResolver = .system
  ) {
    (self.ensemble, self.clock, self.logger) = (ensemble, clock, logger)
    makeStandIn = {
      ZooKeeperClient(
        ensemble: ensemble, tls: tls, sessionTimeout: sessionTimeout, clock: clock, logger: logger, metrics: metrics,
        limits: limits, names: names)
    }
    let own = ZooKeeperMetrics(metrics, ensemble: ensemble.description)
    self.metrics = own
    search = ServerSearch(
      of: ensemble, tls: tls, timeout: sessionTimeout, names: names, metrics: own, clock: clock, logger: logger)
    follower = PathFollower(chroot: ensemble.chroot, clock: clock, logger: logger, limits: limits, metrics: own)
    outage = OutageReport(of: ensemble, tls: tls, clock: clock, logger: logger)
  }

  /// Begins to connect. Watches may be added before or after.
  public func start() {
    guard running == nil else { return }
    outage.begin()
    startedAt = clock.now
    running = Task.immediate { await run() }
  }

  /// Ends the session and everything that is watched; returns within about a second.
  public func close() async {
    running?.cancel()
    outage.end()
    for subscription in follower.subscriptions { subscription.cancel() }
    follower.use(nil)
    await connection?.endSession()
    await standIn?.close()
  }

  // MARK: Connections

  /// When a connection has come last that was lost before, or that the ensemble kept waiting for.
  public var reconnectedAt: LoopClock.Instant? { standIn?.reconnectedAt ?? lastReconnect }

  /// Waits until requests are answered.
  /// - Returns: false when the limit has passed before.
  public func connects(within limit: Duration) async -> Bool {
    if let standIn { return await standIn.connects(within: limit) }
    if connection != nil { return true }
    return
      (try? await withDeadline(after: limit, clock: clock) { [nextConnection] in
        try await nextConnection.wait()
        return true
      }) ?? false
  }

  private func run() async {
    let retry = RetryPolicy(base: .milliseconds(100), limit: .seconds(2))
    var failures = 0
    while !Task.isCancelled {
      if let found = await search.connect(onEvent: { [weak self] in self?.follower.changed($0, at: $1) }) {
        switch await found.isCapable() {
        case true?:
          failures = 0
          connected(found)
          disconnected(found, because: await found.ended())
        case false?:
          await found.endSession()
          return useStandIn()
        case nil: search.lost(found)
        }
      }
      try? await clock.sleep(for: retry.delay(attempt: failures))
      failures += 1
    }
  }

  private func connected(_ found: WireConnection) {
    guard !Task.isCancelled else { return found.close(because: "closed") }
    connection = found
    if hasConnected { metrics.reconnects.increment() }
    if hasConnected || SessionContext.hadToWait(since: startedAt, clock: clock) { lastReconnect = clock.now }
    hasConnected = true
    outage.end()
    metrics.isConnected.value = 1
    logger.notice(
      "connected",
      with: [.ensemble: ensemble, .session: found.session.identity.number, .state: "reading by recursive watches"])
    nextConnection.happen()
    nextConnection = OneShotEvent()
    follower.use(found)
  }

  private func disconnected(_ lost: WireConnection, because reason: String) {
    connection = nil
    metrics.isConnected.value = 0
    search.lost(lost)
    follower.use(nil)
    guard !Task.isCancelled else { return }
    outage.begin()
    logger.warning(
      "connection lost",
      with: [.ensemble: ensemble, .session: lost.session.identity.number, .reason: reason])
  }

  /// From now on everything is watched through libzookeeper.
  private func useStandIn() {
    logger.notice(
      "recursive watches not offered, each node watched by itself", with: [.ensemble: ensemble])
    outage.end()
    let client = makeStandIn()
    standIn = client
    client.start()
    for subscription in follower.subscriptions { subscription.move(to: client) }
    nextConnection.happen()
  }

  // MARK: Watches

  /// Reports the complete child list of `path`: first as soon as it is known, then after every change and
  /// every reconnect (the same list may come twice). A burst of changes is one report.
  public func watchDirectory(_ path: String, onEvent: @escaping @LoopActor (WatchEvent) -> Void) -> WatchToken {
    let subscription = watchNodes(path) { _, event in onEvent(event) }
    return WatchToken { subscription.cancel() }
  }

  /// Reports the names below `path` as ``watchDirectory(_:onEvent:)`` does, and the data of those that the result is asked
  /// to ``PathSubscription/read(_:)``.
  /// - Parameter onEvent: gets the events of the names under an empty name, and those of a node's data under the node's.
  public func watchNodes(
    _ path: String, onEvent: @escaping @LoopActor (_ name: String, WatchEvent) -> Void
  ) -> PathSubscription {
    watch(PathSubscription(path, isOfNames: true, notify: onEvent))
  }

  /// Reports the bytes of `path`: first as soon as they are known, then after every change.
  public func watchData(_ path: String, onEvent: @escaping @LoopActor (WatchEvent) -> Void) -> WatchToken {
    let subscription = watch(PathSubscription(path, isOfNames: false) { _, event in onEvent(event) })
    return WatchToken { subscription.cancel() }
  }

  private func watch(_ subscription: PathSubscription) -> PathSubscription {
    if let standIn { subscription.move(to: standIn) } else { follower.add(subscription) }
    return subscription
  }

  // MARK: Requests

  /// The node's bytes; nil when it does not exist.
  /// - Throws: ``ZooKeeperError``; without a connection at once, with ``ZooKeeperError/Code/connectionLoss``.
  public func read(_ path: String) async throws -> [UInt8]? {
    if let standIn { return try await standIn.read(path) }
    let answer = OneShotEvent<[UInt8]?>()
    try connected(to: .read, path: path).data(of: [ensemble.chroot.joined(with: path)]) { result in
      switch result.flatMap({ $0[0] }) {
      case .success(let node): answer.happen(with: node.bytes)
      case .failure(let error) where error.code == .noNode: answer.happen(with: nil)
      case .failure(let error): answer.fail(with: error)
      }
    }
    return try await answer.outcome().get()
  }

  /// The names below `path`, in the server's order; nil when it does not exist.
  /// - Throws: ``ZooKeeperError``, as ``read(_:)``.
  public func children(_ path: String) async throws -> [String]? {
    if let standIn { return try await standIn.children(path) }
    let answer = OneShotEvent<[String]?>()
    try connected(to: .list, path: path).children(ensemble.chroot.joined(with: path)) { result in
      switch result {
      case .success((let names, _)): answer.happen(with: names)
      case .failure(let error) where error.code == .noNode: answer.happen(with: nil)
      case .failure(let error): answer.fail(with: error)
      }
    }
    return try await answer.outcome().get()
  }

  private func connected(to operation: Operation, path: String) throws(ZooKeeperError) -> WireConnection {
    if let connection { return connection }
    throw ZooKeeperError(code: .connectionLoss, operation: operation.rawValue, path: path)
  }
}
