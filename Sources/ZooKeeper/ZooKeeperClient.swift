public import Logging
public import Reactor
public import SmartStack

/// What a client does slowly and how much it takes; the defaults suit thousands of services per host.
public struct ZooKeeperLimits: Hashable, Sendable {
  /// How often a watched directory and an own node are looked at although no watch fired, on average
  /// (each time between half and one and a half of it). Shorter finds a lost watch sooner and costs one
  /// request per directory and node each time.
  public var reconcileInterval: Duration = .seconds(300)
  /// The same for what is beyond ``watchBytes`` and has no watch. This is how late its changes are seen.
  public var unwatchedInterval: Duration = .seconds(60)
  /// Bytes of paths that may be watched at a time. libzookeeper sends them all in one packet when it
  /// reconnects; above the server's `jute.maxbuffer` (0xfffff bytes) it could never reconnect.
  public var watchBytes = 0xc0000
  /// Reads for watches on their way at a time; more wait in line.
  public var maximumReads = 256
  /// The longest random wait before a new session replaces an expired one, so that a fleet that expired
  /// at one moment does not come back at one moment. Adds to the time without registrations.
  public var newSessionDelay: Duration = .milliseconds(500)

  /// The defaults.
  public init() {}
}

/// Keeps wanted registrations and watches true at one ensemble, across lost connections and sessions.
///
/// One client is one session (see ``ZooKeeperClients`` for one per ensemble). What is wanted and watched
/// belongs to the client, not to the session: after an expiry everything is asserted again, once. The
/// state machine stands as a table in `docs/zookeeper.md`.
///
/// Call ``close()`` or ``abandon()`` in the end: a client that is merely let go of keeps its session.
@LoopActor public final class ZooKeeperClient {
  /// How the client stands with the ensemble.
  public private(set) var state: ConnectionState = .connecting
  /// The connection string given at the start.
  public let connection: String

  /// Whether requests are answered.
  public var isConnected: Bool { connectedSession != nil }

  let clock: LoopClock
  let logger: Logger
  let limits: ZooKeeperLimits
  let metrics: ZooKeeperMetrics
  let credentials: ZooKeeperCredentials?
  /// The session in use; nil before the first and between two.
  private(set) var session: ZooKeeperSession?
  /// Paths of own nodes, each held by one ``WantedNode``.
  var claimed: Set<String> = []

  private let sessionTimeout: Duration
  private var resumable: SavedSession?
  private var isStarted = false
  private var isLeaving = false
  private var failures = 0
  private var timer: LoopTimer?
  private var observers: [UInt64: @LoopActor (ConnectionState) -> Void] = [:]
  private var lastObserver: UInt64 = 0
  private var nodes: [ObjectIdentifier: WantedNode] = [:]
  private var watches: [WatchKey: PathWatch] = [:]
  let reads: AsyncSemaphore
  let wheel: ReconcileWheel

  /// - Parameters:
  ///   - connection: `host:port,host:port` with an optional `/chroot` at the end.
  ///   - sessionTimeout: what is asked for, less up to a twentieth; the server may give more or less
  ///     (2 to 20 of its ticks).
  ///   - metrics: where requests, watches, reconnects, expiries and registrations are counted.
  ///   - savedSession: a session to carry on; when it has expired a new one is opened.
  ///   - credentials: added to every connection.
  public init(
    connection: String, sessionTimeout: Duration = .seconds(10), clock: LoopClock = .system, logger: Logger,
    metrics: Metrics? = nil, savedSession: SavedSession? = nil, credentials: ZooKeeperCredentials? = nil,
    limits: ZooKeeperLimits = ZooKeeperLimits()
  ) {
    self.connection = connection
    self.sessionTimeout = sessionTimeout
    self.clock = clock
    self.logger = logger
    self.metrics = ZooKeeperMetrics(metrics, ensemble: connection)
    self.credentials = credentials
    self.limits = limits
    reads = AsyncSemaphore(limit: limits.maximumReads)
    wheel = ReconcileWheel(clock: clock)
    resumable = savedSession
  }

  /// Begins to connect. Wants and watches may be added before or after.
  public func start() {
    guard !isStarted else { return }
    isStarted = true
    LibraryLog.use(logger)
    openSession()
  }

  /// Ends the session, and with it every ephemeral node, at once; returns within about five seconds even
  /// when no server answers. Pending calls fail with ``ZooKeeperError/Code/closed``.
  public func close() async { await leave { await $0.close() } }

  /// Leaves without ending the session, so that another process can carry it on within the timeout.
  /// - Returns: the session; nil when there is none.
  public func abandon() async -> SavedSession? {
    let saved = savedSession
    await leave { await $0.abandon() }
    return saved
  }

  /// The session in use, to be kept in a file and given to the next process's client. Nil before the
  /// first connection and between two sessions; observe ``onState(_:)`` to learn when it changes.
  public var savedSession: SavedSession? {
    guard let session, !session.isOver else { return resumable }
    // Not connected yet: what we were given is still good.
    guard session.id != 0 else { return session.settings.resuming }
    return SavedSession(id: session.id, password: session.password)
  }

  /// Calls `observer` after every change of ``state``.
  @discardableResult
  public func onState(_ observer: @escaping @LoopActor (ConnectionState) -> Void) -> WatchToken {
    lastObserver += 1
    let number = lastObserver
    observers[number] = observer
    return WatchToken { [weak self] in self?.observers[number] = nil }
  }

  /// Keeps a node true: makes it (and its parents), makes it again when somebody deletes it or the
  /// session expires, and takes over a node that this very session left behind. A node of a fixed name
  /// that exists already, whoever made it, is given our data and counts as registered; when it goes with
  /// its session, it is made anew.
  /// - Parameters:
  ///   - adopting: for the sequential modes: may a node left behind by this session under the same name,
  ///     but with other data, be taken over and rewritten? Asked with that data. Nil: only a node with
  ///     the same data is.
  ///   - onChange: called after every change of the node's state.
  @discardableResult
  public func want(
    _ registration: Registration, adopting: (@LoopActor (_ data: [UInt8]) -> Bool)? = nil,
    onChange: @escaping @LoopActor (WantedNode.State) -> Void = { _ in }
  ) -> WantedNode {
    let node = WantedNode(registration, client: self, adopting: adopting, onChange: onChange)
    nodes[ObjectIdentifier(node)] = node
    node.begin()
    return node
  }

  /// Reports the complete child list of `path`: first as soon as it is known, then after every change and
  /// every reconnect (the same list may come twice). Bursts of changes are read once.
  public func watchDirectory(
    _ path: String, _ onEvent: @escaping @LoopActor (DirectoryEvent) -> Void
  ) -> WatchToken {
    watch(WatchKey(kind: .children, path: path)) { snapshot in
      switch snapshot {
      case .names(let names): onEvent(.children(names))
      case .bytes: break
      case .missing: onEvent(.missing)
      case .failed(let error): onEvent(.failed(error))
      }
    }
  }

  /// Reports the bytes of `path`: first as soon as they are known, then after every change.
  public func watchData(_ path: String, _ onEvent: @escaping @LoopActor (DataEvent) -> Void) -> WatchToken {
    watch(WatchKey(kind: .data, path: path)) { snapshot in
      switch snapshot {
      case .bytes(let bytes): onEvent(.data(bytes))
      case .names: break
      case .missing: onEvent(.missing)
      case .failed(let error): onEvent(.failed(error))
      }
    }
  }

  private func watch(_ key: WatchKey, _ onSnapshot: @escaping @LoopActor (PathWatch.Snapshot) -> Void) -> WatchToken {
    let watch: PathWatch
    if let known = watches[key] {
      watch = known
    } else {
      watch = PathWatch(key, client: self)
      watches[key] = watch
      watch.sessionChanged(isNew: true)
    }
    let number = watch.add(onSnapshot)
    return WatchToken { [weak self] in
      guard watch.remove(number), self?.watches[key] === watch else { return }
      self?.watches[key] = nil
    }
  }

  /// How long a path waits for its next look to be safe: the more there are, the longer, because looking costs the
  /// server and us. Both kinds together are at most forty looks a second.
  func lookInterval(isWatched: Bool) -> Duration {
    let watched = session?.watchedCount ?? 0
    let (least, count) =
      isWatched ? (limits.reconcileInterval, watched) : (limits.unwatchedInterval, watches.count - watched)
    return max(least, .milliseconds(50) * max(0, count))
  }

  // MARK: The session

  /// The session when requests can be sent.
  var connectedSession: ZooKeeperSession? {
    guard let session, session.isConnected else { return nil }
    return session
  }

  private func openSession() {
    guard let servers = ServerList(connection) else {
      logger.error("not a connection string: host:port,host:port/chroot is", with: [.ensemble: connection])
      return
    }
    let settings = ZooKeeperSession.Settings(
      servers: servers, timeout: sessionTimeout, resuming: resumable, credentials: credentials,
      watchBytes: limits.watchBytes)
    resumable = nil
    let session = ZooKeeperSession(settings, metrics: metrics) { [weak self] in self?.handle($1, of: $0) }
    self.session = session
    Task.immediate {
      do {
        try await session.open()
      } catch {
        guard session === self.session else { return }
        logger.error("cannot open a session", with: [.ensemble: connection, .reason: "\(error)"])
        resumable = session.settings.resuming
        replaceSession()
      }
    }
  }

  private func handle(_ event: ZooKeeperSession.Event, of session: ZooKeeperSession) {
    guard session === self.session else { return }
    switch event {
    case .connected: connected(session)
    case .disconnected:
      guard case .connected = state else { return }
      logger.warning("connection lost", with: [.ensemble: connection, .session: hex(session.id)])
      reads.dismissWaiters()
      move(to: .suspended)
    case .ended(let code): ended(code)
    }
  }

  private func connected(_ session: ZooKeeperSession) {
    let isNew = !session.wasAnnounced
    session.wasAnnounced = true
    failures = 0
    if !isNew { metrics.reconnects.increment() }
    logger.notice(
      "connected",
      with: [
        .ensemble: connection, .session: hex(session.id), .generation: session.generation,
        .state: isNew ? (session.isResumed ? "resumed" : "new") : "same",
      ])
    move(to: .connected(sessionID: session.id))
    guard session === self.session else { return }
    for node in nodes.values { node.sessionChanged() }
    for watch in watches.values { watch.sessionChanged(isNew: isNew) }
  }

  private func ended(_ code: ZooKeeperError.Code) {
    metrics.expiries.increment()
    logger.warning("session ended", with: [.ensemble: connection, .reason: code.words])
    // Wrong credentials do not mend themselves in a second.
    if code == .authFailed { failures = max(failures, 5) }
    replaceSession()
  }

  private func replaceSession() {
    session = nil
    reads.dismissWaiters()
    move(to: .connecting)
    for node in nodes.values { node.sessionLost() }
    let retry = RetryPolicy(base: .milliseconds(500), limit: .seconds(30))
    let delay =
      failures == 0
      ? limits.newSessionDelay * Double.random(in: 0...1) : retry.delay(attempt: failures)
    failures += 1
    timer = clock.schedule(after: delay) { [weak self] in self?.openSession() }
  }

  private func move(to new: ConnectionState) {
    guard new != state else { return }
    state = new
    if case .connected = new { metrics.isConnected.value = 1 } else { metrics.isConnected.value = 0 }
    for number in observers.keys.sorted() { observers[number]?(new) }
  }

  private func leave(_ body: @escaping @LoopActor (ZooKeeperSession) async -> Void) async {
    guard !isLeaving else { return }
    isLeaving = true
    timer?.cancel()
    let leaving = session
    (session, resumable) = (nil, nil)
    reads.dismissWaiters()
    move(to: .closed)
    for node in nodes.values { node.clientClosed() }
    for watch in watches.values { watch.stop() }
    (nodes, watches) = ([:], [:])
    guard let leaving else { return }
    _ = try? await withDeadline(after: .seconds(5)) { await body(leaving) }
  }

  private func hex(_ id: Int64) -> String { "0x" + String(UInt64(bitPattern: id), radix: 16) }

  // MARK: For nodes and watches

  /// Whether another registration of the same directory and name does not know yet what it holds.
  func hasUnsettled(_ registration: Registration, besides node: WantedNode) -> Bool {
    nodes.values.contains {
      $0 !== node && !$0.isSettled && $0.registration.directory == registration.directory
        && $0.registration.name == registration.name
    }
  }

  /// Everything that is wanted.
  var wanted: [WantedNode] { Array(nodes.values) }

  func forget(_ node: WantedNode) { nodes[ObjectIdentifier(node)] = nil }

  /// How long a look that is only made to be safe waits after a reconnect: ten milliseconds per watch on
  /// average, so that a host with many does not read them all at one moment, nor a fleet with it.
  func reconnectSpread() -> Duration {
    min(.seconds(10), .milliseconds(10) * watches.count) * Double.random(in: 0...2)
  }
}
