internal import HAProxyConfigGen
internal import HAProxyRuntime
internal import Logging
internal import Reactor
internal import SmartStack

/// Keeps running HAProxies in sync with the model by commands, on a task of its own: only the sockets delay it.
@LoopActor final class SocketSync {
  /// One socket for each process of HAProxy; none: every change is a reload.
  let sockets: [ProxySocket]
  /// Why HAProxy must be reloaded; empty: commands were enough.
  private(set) var reloadReasons: [ReloadReason] = []
  /// The model's revision that a file must hold at least for a reload to help; nil: there is no reason for one.
  private(set) var neededRevision: Int?
  /// Called after every comparison.
  var onSync: (@LoopActor () -> Void)?

  private let wanted: WantedModel
  private let clock: LoopClock
  private let logger: Logger
  private let metrics: HAProxyMetrics
  private let watch: SocketWatch
  private let work: AsyncSignal
  /// How often a comparison has been asked for, and which of the calls have been answered.
  private var requested = 0
  private var completed = 0
  /// Happens when every comparison that was asked for has ended.
  private var settled = OneShotEvent<Void>()
  private var task: Task<Void, Never>?
  private var isStopped = false

  init(
    _ sockets: [ProxySocket], wanted: WantedModel, clock: LoopClock, logger: Logger, metrics: HAProxyMetrics
  ) {
    self.sockets = sockets
    self.wanted = wanted
    self.clock = clock
    self.logger = logger
    self.metrics = metrics
    work = AsyncSignal(clock: clock)
    watch = SocketWatch(sockets, clock: clock, logger: logger)
  }

  /// Whether all sockets answered when the model was last applied.
  var isReachable: Bool { watch.isReachable }
  /// Whether no command is missing anywhere.
  var isInSync: Bool { reloadReasons.isEmpty && sockets.allSatisfy(\.isInSync) }
  /// Whether any process has servers that its file had not when it was loaded.
  var hasAddedServers: Bool { sockets.contains { $0.addedServers > 0 } }
  /// The most servers that left and are still in one process's memory.
  var leftovers: Int {
    sockets.map { socket in
      socket.running.map { Planner.leftovers(running: $0, wanted: wanted.model) } ?? 0
    }.max() ?? 0
  }

  // MARK: Running

  /// Starts the task and the regular looks.
  /// - Parameter onOtherProcess: called when another process answers, or answers again.
  func start(auditInterval: Duration, onOtherProcess: @escaping @LoopActor () async -> Void) {
    task = Task { @LoopActor [weak self] in await self?.run() }
    watch.start(
      auditInterval: auditInterval, isReady: { [wanted] in wanted.isReady }, onOtherProcess: onOtherProcess,
      onDoubt: { [weak self] in self?.requestSync() })
  }

  /// Ends the task after what it is at.
  func stop() async {
    isStopped = true
    watch.stop()
    work.set()
    await task?.value
  }

  /// Has the sockets compared with the model once more.
  func requestSync() {
    requested += 1
    if settled.hasHappened { settled = OneShotEvent() }
    work.set()
  }

  /// Returns once the sockets have been compared with the model as it is.
  func waitUntilSynced() async {
    if isStopped || completed == requested { return }
    await settled.outcome()
  }

  private func run() async {
    while !isStopped {
      await work.wait()
      if isStopped { break }
      let round = requested
      if round == completed { continue }
      await syncSockets()
      completed = round
      if completed == requested { settled.happen() }
      onSync?()
    }
    settled.happen()
  }

  private func syncSockets() async {
    let revision = wanted.revision
    let (model, changed) = wanted.takeChanges()
    var reasons: [ReloadReason] = []
    for socket in sockets {
      var outcome = await socket.apply(model, changed: changed)
      if outcome == .restarted { outcome = await socket.apply(model, changed: nil) }
      reasons += watch.reloadReasons(after: outcome, of: socket)
    }
    metrics.recordSync(at: clock.now)
    reloadReasons = reasons
    neededRevision = reasons.isEmpty ? nil : neededRevision ?? revision
  }

  // MARK: Processes

  /// Reads what every process runs.
  func observe() async {
    for socket in sockets {
      do { try await socket.observe() } catch {
        logger.info("HAProxy query failed", with: [.path: socket.path, .reason: error])
      }
    }
  }

  /// Prepares a reload: processes that appear from now on have loaded this.
  func willReload(_ loaded: LoadedConfiguration?) async {
    // One that another program has started meanwhile has not.
    if await checkProcesses() { requestSync() }
    for socket in sockets { socket.expect(loaded) }
  }

  /// Ends a reload.
  /// - Parameter isDone: whether there are new processes, which are brought in sync with the model.
  func didReload(isDone: Bool) async {
    if isDone { _ = await checkProcesses() }
    for socket in sockets {
      socket.expect(nil)
      if isDone { socket.observeAgain() }
    }
    guard isDone else { return }
    neededRevision = nil
    requestSync()
  }

  /// - Returns: whether another process answers at any socket.
  private func checkProcesses() async -> Bool {
    var isOther = false
    for socket in sockets where (try? await socket.checkProcess()) == true { isOther = true }
    return isOther
  }
}
