public import Logging
public import Reactor
public import SmartStack

/// Keeps wanted registrations and watches in sync with one ensemble, across lost connections and sessions.
///
/// One client is one session (see ``ZooKeeperReaders`` for one per ensemble). What is wanted and watched
/// belongs to the client, not to the session: after an expiry everything is asserted again, once. The
/// state machine stands as a table in `docs/zookeeper.md`.
///
/// Call ``close()`` or ``abandon()`` in the end: a client that is merely let go of keeps its session.
@LoopActor public final class ZooKeeperClient {
  /// How the client stands with the ensemble.
  public private(set) var state: ConnectionState = .connecting
  /// The servers that the client was made for.
  public var ensemble: ServerList { context.ensemble }

  /// The nodes that this client has, or may have.
  public var own: OwnNodes { context.own }

  /// When a connection has come last after an outage, over the same session or another one; nil: there was no outage.
  public var reconnectedAt: LoopClock.Instant? { context.reconnectedAt }

  /// Whether requests are answered.
  public var isConnected: Bool { context.connected != nil }

  let context: SessionContext
  let claims = NodeClaims()
  private let cadence: WatchCadence
  private let sessionTimeout: Duration
  private let names: NameResolver
  private var resumable: SavedSession?
  private var isStarted = false
  private var isLeaving = false
  private var failures = 0
  private var timer: LoopTimer?
  private var observers: [UInt64: @LoopActor (ConnectionState) -> Void] = [:]
  private var lastObserver: UInt64 = 0
  private var nodes: [ObjectIdentifier: WantedNode] = [:]
  private var watches: [WatchKey: PathWatch] = [:] { didSet { cadence.pathCount = watches.count } }

  /// - Parameters:
  ///   - ensemble: the servers; their names are looked up again now and then.
  ///   - tls: nil speaks in plain text.
  ///   - sessionTimeout: what is asked for, less up to a twentieth; the server may give more or less
  ///     (2 to 20 of its ticks).
  ///   - metrics: where requests, watches, reconnects, expiries and registrations are counted.
  ///   - savedSession: a session to carry on; when it has expired a new one is opened.
  ///   - credentials: added to every connection.
  ///   - own: the nodes that `savedSession` and the sessions before it may have.
  ///   - names: looks the servers' names up.
  public init(
    ensemble: ServerList, tls: TLSOptions? = nil, sessionTimeout: Duration = .seconds(10), clock: LoopClock = .system,
    logger: Logger,
    metrics: Metrics? = nil, savedSession: SavedSession? = nil, credentials: ZooKeeperCredentials? = nil,
    own: OwnNodes = OwnNodes(), limits: ZooKeeperLimits = ZooKeeperLimits(), names: NameResolver = .system
  ) {
    self.sessionTimeout = sessionTimeout
    self.names = names
    context = SessionContext(
      ensemble: ensemble, tls: tls, clock: clock, logger: logger, limits: limits, metrics: metrics,
      credentials: credentials,
      own: own)
    cadence = WatchCadence(limits: limits, clock: clock)
    resumable = savedSession
  }

  /// Begins to connect. Wants and watches may be added before or after.
  public func start() {
    guard !isStarted else { return }
    isStarted = true
    LibraryLog.use(context.logger)
    context.outage.begin()
    openSession()
  }

  /// Ends the session, and with it every ephemeral node, at once; returns within about five seconds even
  /// when no server answers. Pending calls fail with ``ZooKeeperError/Code/closed``.
  /// - Returns: whether a server was asked to end the session; else its nodes live until its timeout.
  @discardableResult
  public func close() async -> Bool {
    // A session that is about to be resumed has nodes, which only a connection can end.
    if state == .connecting, context.session?.isResumed == true { await waitForConnection(within: .seconds(3)) }
    return await leave { await $0.close() } ?? false
  }

  /// Returns when there is a connection, or `limit` has passed.
  public func waitForConnection(within limit: Duration) async {
    if isConnected { return }
    let connected = OneShotEvent<Void>()
    let token = onState { if case .connected = $0 { connected.happen() } }
    _ = try? await withDeadline(after: limit, clock: context.clock) { try await connected.wait() }
    token.cancel()
  }

  /// Why no server gives a session at this moment, server by server; takes a few seconds at most.
  public func reasonsWithoutConnection() async -> String { await context.outage.reasons() }

  /// Leaves without ending the session, so that another process can carry it on within the timeout.
  /// - Returns: the session; nil when there is none.
  public func abandon() async -> SavedSession? {
    let saved = savedSession
    _ = await leave { await $0.abandon() }
    return saved
  }

  /// The session in use, to be kept in a file and given to the next process's client. Nil before the
  /// first connection and between two sessions; observe ``onState(_:)`` to learn when it changes.
  public var savedSession: SavedSession? {
    guard let session = context.session, !session.isOver else { return resumable }
    // Not connected yet: what we were given is still good.
    return session.identity ?? session.settings.resuming
  }

  /// Calls `observer` after every change of ``state``.
  @discardableResult
  public func onState(_ observer: @escaping @LoopActor (ConnectionState) -> Void) -> WatchToken {
    lastObserver += 1
    let number = lastObserver
    observers[number] = observer
    return WatchToken { [weak self] in self?.observers[number] = nil }
  }

  /// Keeps a node in existence: creates it (and its parents), creates it again when another client deletes it or the
  /// session expires, and adopts a node that this very session left behind. A node of a fixed name
  /// that exists already, whoever made it, is given our data and counts as registered; when it goes with
  /// its session, it is made again.
  /// - Parameters:
  ///   - adopting: for the sequential modes: may a node left behind by this session under the same name,
  ///     but with other data, be taken over and rewritten? Asked with that data. Nil: only a node with
  ///     the same data is.
  ///   - onChange: called after every change of the node's state.
  @discardableResult
  public func want(
    _ registration: Registration, adopting: (@LoopActor (_ data: [UInt8]) -> Bool)? = nil,
    onChange: @escaping @LoopActor (NodeState) -> Void = { _ in }
  ) -> WantedNode {
    let node = WantedNode(
      registration, context: context, claims: claims, adopting: adopting, onChange: onChange,
      onEnd: { [weak self] in self?.nodes[ObjectIdentifier($0)] = nil })
    if state == .closed {
      node.clientClosed()
    } else {
      nodes[ObjectIdentifier(node)] = node
      Task.immediate { await node.run() }
    }
    return node
  }

  /// Reports the complete child list of `path`: first as soon as it is known, then after every change and
  /// every reconnect (the same list may come twice). Bursts of changes are read once.
  public func watchDirectory(_ path: String, onEvent: @escaping @LoopActor (WatchEvent) -> Void) -> WatchToken {
    watch(WatchKey(kind: .children, path: path), onEvent: onEvent)
  }

  /// Reports the bytes of `path`: first as soon as they are known, then after every change.
  public func watchData(_ path: String, onEvent: @escaping @LoopActor (WatchEvent) -> Void) -> WatchToken {
    watch(WatchKey(kind: .data, path: path), onEvent: onEvent)
  }

  private func watch(_ key: WatchKey, onEvent: @escaping @LoopActor (WatchEvent) -> Void) -> WatchToken {
    let watch: PathWatch
    if let known = watches[key] {
      watch = known
    } else {
      watch = PathWatch(key, context: context, cadence: cadence)
      watches[key] = watch
      watch.sessionChanged(isNew: true)
    }
    let number = watch.add(onEvent)
    return WatchToken { [weak self] in
      guard watch.remove(number), self?.watches[key] === watch else { return }
      self?.watches[key] = nil
    }
  }

  // MARK: The session

  /// - Parameter isReopened: whether the session to be resumed is this process's own.
  private func openSession(isReopened: Bool = false) {
    let settings = SessionSettings(
      servers: ensemble, timeout: sessionTimeout, resuming: resumable, isReopened: isReopened,
      credentials: context.credentials, watchBytes: context.limits.watchBytes,
      serverInterval: context.limits.serverInterval, names: names, relay: context.relay)
    resumable = nil
    let session = ZooKeeperSession(settings, metrics: context.metrics) { [weak self] in self?.handle($1, of: $0) }
    context.session = session
    Task.immediate {
      do {
        try await session.open()
      } catch {
        guard session === context.session else { return }
        context.logger.debug("session not opened", with: [.ensemble: ensemble, .reason: "\(error)"])
        resumable = session.settings.resuming
        if isReopened { return reopenLater() }
        replaceSession()
      }
    }
  }

  /// A handle remembers the last change it has seen, and a server that has not seen that one refuses it: after an ensemble
  /// was emptied, restored, or replaced behind the same names, for ever. Another handle asks for the same session; the
  /// server then resumes it, or says that it is no more.
  private func reopen(_ refused: ZooKeeperSession) {
    guard state == .suspended else { return }
    context.logger.warning(
      "session not accepted, asked for again; the registry may be older than this session",
      with: [.ensemble: ensemble, .session: hex(refused.id)])
    resumable = refused.identity
    context.session = nil
    Task { await refused.abandon() }
    openSession(isReopened: true)
  }

  private func reopenLater() {
    timer?.cancel()
    timer = context.clock.schedule(after: .seconds(1)) { [weak self] in self?.openSession(isReopened: true) }
  }

  private func handle(_ event: ZooKeeperSession.Event, of session: ZooKeeperSession) {
    guard session === context.session else { return }
    switch event {
    case .connected: connected(session)
    case .disconnected:
      guard case .connected = state else { return }
      context.logger.warning("connection lost", with: [.ensemble: ensemble, .session: hex(session.id)])
      move(to: .suspended)
    case .refused: reopen(session)
    case .ended(let code): ended(code)
    }
  }

  private func connected(_ session: ZooKeeperSession) {
    let isNew = !session.wasAnnounced
    session.wasAnnounced = true
    failures = 0
    timer?.cancel()
    if !isNew || session.settings.isReopened { context.metrics.reconnects.increment() }
    context.noteConnection()
    context.logger.notice(
      "connected",
      with: [
        .ensemble: ensemble, .session: hex(session.id), .generation: session.generation,
        .state: isNew ? (session.isResumed ? "resumed" : "new") : "same",
      ])
    move(to: .connected(sessionID: session.id))
    guard session === context.session else { return }
    for node in nodes.values { node.sessionChanged() }
    for watch in watches.values { watch.sessionChanged(isNew: isNew) }
    Task {
      await dropStruckNodes(in: session)
      if isNew { await dropFormerNodes(in: session) }
    }
  }

  private func ended(_ code: ZooKeeperError.Code) {
    context.metrics.expiries.increment()
    context.logger.warning("session ended", with: [.ensemble: ensemble, .reason: code.words])
    // Wrong credentials do not mend themselves in a second.
    if code == .authFailed { failures = max(failures, 5) }
    replaceSession(after: code == .authFailed ? .seconds(30) : .seconds(3))
  }

  /// - Parameter longest: the longest pause before the next session, after repeated failures.
  private func replaceSession(after longest: Duration = .seconds(3)) {
    context.session = nil
    timer?.cancel()
    move(to: .connecting)
    for node in nodes.values { node.sessionLost() }
    let retry = RetryPolicy(base: .milliseconds(500), limit: longest)
    let delay =
      failures == 0
      ? context.limits.newSessionDelay * Double.random(in: 0...1) : retry.delay(attempt: failures)
    failures += 1
    timer = context.clock.schedule(after: delay) { [weak self] in self?.openSession() }
  }

  private func move(to new: ConnectionState) {
    guard new != state else { return }
    state = new
    switch new {
    case .connected:
      context.metrics.isConnected.value = 1
      context.outage.end()
    case .connecting, .suspended:
      context.metrics.isConnected.value = 0
      context.outage.begin()
    case .closed:
      context.metrics.isConnected.value = 0
      context.outage.end()
    }
    for number in observers.keys.sorted() { observers[number]?(new) }
  }

  private func leave<Answer: Sendable>(
    _ body: @escaping @LoopActor (ZooKeeperSession) async -> Answer
  ) async -> Answer? {
    guard !isLeaving else { return nil }
    isLeaving = true
    timer?.cancel()
    let leaving = context.session
    (context.session, resumable, context.isClosed) = (nil, nil, true)
    move(to: .closed)
    for node in nodes.values { node.clientClosed() }
    for watch in watches.values { watch.stop() }
    (nodes, watches) = ([:], [:])
    guard let leaving else { return nil }
    return (try? await withDeadline(after: .seconds(5)) { await body(leaving) }) ?? nil
  }

  private func hex(_ id: Int64) -> String { "0x" + String(UInt64(bitPattern: id), radix: 16) }
}
