internal import HAProxyConfigGen
internal import HAProxyRuntime
internal import Logging
internal import Reactor
internal import SmartStack

/// Keeps running HAProxies in sync with the model by commands, on a task of its own: only the sockets delay it.
@LoopActor final class SocketSync {
  /// The configured sockets; none: every change is a reload.
  let sockets: [ProxySocket]
  /// One socket for each process of HAProxy.
  private var processes: [ProxySocket]
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
  private var rounds = (requested: 0, completed: 0)
  /// Happens when the comparison that is under way has ended.
  private var settled = OneShotEvent<Void>()
  private var task: Task<Void, Never>?
  private var isStopped = false

  init(
    _ sockets: [ProxySocket], wanted: WantedModel, clock: LoopClock, logger: Logger, metrics: HAProxyMetrics
  ) {
    self.sockets = sockets
    processes = sockets
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
  var isInSync: Bool { reloadReasons.isEmpty && processes.allSatisfy(\.isInSync) }
  /// Whether any process has servers that its file had not when it was loaded.
  var hasAddedServers: Bool { processes.contains { $0.addedServers > 0 } }
  /// Whether all processes answer and have this host's addresses, as far as that can be seen.
  var areInThisNetwork: Bool { isReachable && !sockets.isEmpty && processes.allSatisfy(\.isInThisNetwork) }
  /// Where the processes listen; nil: it is not known of each.
  var heldAddresses: Set<ListenAddress>? {
    var held: Set<ListenAddress> = []
    for socket in processes {
      guard let listening = socket.listening else { return nil }
      held.formUnion(listening)
    }
    return held
  }
  /// The most servers that left and are still in one process's memory.
  var leftovers: Int {
    processes.map { socket in
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
    rounds.requested += 1
    work.set()
  }

  /// Returns once the sockets have been compared with the model as it is; comparisons that are requested meanwhile do
  /// not count, or a busy machine would wait for ever.
  func waitUntilSynced() async {
    let round = rounds.requested
    while !isStopped, rounds.completed < round { await settled.outcome() }
  }

  private func run() async {
    while !isStopped {
      await work.wait()
      if isStopped { break }
      let round = rounds.requested
      if round == rounds.completed { continue }
      await syncSockets()
      rounds.completed = round
      let ended = settled
      settled = OneShotEvent()
      ended.happen()
      onSync?()
    }
    settled.happen()
  }

  private func syncSockets() async {
    let revision = wanted.revision
    let (model, changed) = wanted.takeChanges()
    var reasons: [ReloadReason] = []
    await findProcesses()
    for socket in processes {
      var outcome = await socket.apply(model, changed: changed)
      if outcome == .restarted { outcome = await socket.apply(model, changed: nil) }
      reasons += watch.reloadReasons(after: outcome, of: socket)
    }
    await recordIDs()
    metrics.recordSync(at: clock.unixTime)
    reloadReasons = reasons
    neededRevision = reasons.isEmpty ? nil : neededRevision ?? revision
  }

  // MARK: Processes

  /// Has servers keep the ids that they have in processes that are new.
  func recordIDs() async {
    for socket in sockets { if let running = socket.takeNewProcess() { await wanted.recordIDs(of: running) } }
  }

  /// Two sockets may lead to one process, which must not get every command twice.
  private func findProcesses() async {
    if sockets.count < 2 { return }
    // Others look at the processes meanwhile, and must not take HAProxy's own addresses for another program's.
    var found: [ProxySocket] = []
    for socket in sockets {
      _ = try? await socket.checkProcess()
      if let info = socket.info, found.contains(where: { $0.info?.isSameProcess(as: info) == true }) {
        socket.observeAgain()
        _ = watch.reloadReasons(after: .matches, of: socket)
      } else {
        found.append(socket)
      }
    }
    processes = found
  }

  /// Reads what every process runs.
  func observe() async {
    for socket in sockets {
      do { try await socket.observe() } catch {
        logger.info("HAProxy query failed", with: [.path: socket.path, .reason: error])
      }
    }
  }

  /// What keeps HAProxy from loading the file although `haproxy -c` accepts it: more descriptors than it may have.
  /// - Parameter global: the lines of the section.
  func descriptorShortage(global: [String]) async -> String? {
    let lines = global.map { $0.split(separator: " ") }
    // Without `maxconn`, or with 0, HAProxy makes do with what it may have.
    guard let maxconn = lines.last(where: { $0.first == "maxconn" && $0.count == 2 }).flatMap({ Int($0[1]) }),
      maxconn > 0, !lines.contains(where: { $0.first == "ulimit-n" })
    else { return nil }
    let model = wanted.model
    let (checks, addresses) = await BlockingWork.compute { (model.checkedServers, model.listening.values) }
    for socket in processes {
      guard let info = socket.info, let used = info.maxSockets, let before = info.maxConnections,
        let worker = Int32(exactly: info.pid).flatMap(ProcessRecord.read)
      else { continue }
      // A master starts the next worker.
      let master = ProcessRecord.read(worker.parent)
      guard let limit = (master?.name == worker.name ? master : worker)?.descriptorLimit else { continue }
      let listeners = addresses.reduce(0) { $0 + $1.count } - (socket.listening?.count ?? 0)
      let needed = used + 2 * (maxconn - before) + checks - socket.checkedServers + listeners
      if needed > limit {
        return
          "Cannot raise FD limit to about \(needed), limit is \(limit): raise LimitNOFILE of HAProxy's unit, or lower "
          + "maxconn in haproxy.global"
      }
    }
    return nil
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
