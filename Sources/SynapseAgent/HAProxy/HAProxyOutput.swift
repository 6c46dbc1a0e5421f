internal import AgentKit
internal import HAProxyConfigGen
internal import HAProxyRuntime
internal import Logging
internal import Reactor
internal import SmartStack

/// Makes one host's HAProxy serve the registry's data.
///
/// Two tasks share the work. The fast one, ``SocketSync``, plans and speaks to the sockets. The slow one, here, has the
/// file rendered, checked and replaced, HAProxy reloaded when commands were not enough, and the state file written;
/// changes that come while it works wait for its next round.
@LoopActor final class HAProxyOutput: ConfigGenerator {
  let configuration: HAProxyConfiguration
  let socketSync: SocketSync
  let reloads: ReloadPolicy
  let wanted: WantedModel
  let file: FileSync
  private let trials: ListenTrials
  private let state: StateFile
  private let workers: OldWorkers
  private let clock: LoopClock
  private let metrics: HAProxyMetrics
  private let work: AsyncSignal
  private var task: Task<Void, Never>?
  private var tickers: [Ticker] = []
  private var isStopped = false

  /// - Parameters:
  ///   - saved: what the state file holds; nil: there is none.
  ///   - memory: the ids that servers have.
  ///   - reloadMarker: the path of a file that exists while a reload is pending; nil: a crash before it is not noticed.
  init(
    _ configuration: HAProxyConfiguration, services: [ServiceSettings], saved: ServerMemory?, memory: ServerMemory,
    reloadMarker: String?, clock: LoopClock, logger: Logger, metrics: Metrics, statsd: StatsD?
  ) {
    self.configuration = configuration
    self.clock = clock
    work = AsyncSignal(clock: clock)
    let checker = FileChecker(configuration.check)
    var settings = configuration.generator
    settings.keepsUnknownDirectives = checker.isActive
    let wanted = WantedModel(settings: settings, services: services, memory: memory, clock: clock, logger: logger)
    let counted = HAProxyMetrics(metrics, statsd: statsd)
    let file = FileSync(configuration, checker: checker, wanted: wanted, clock: clock, logger: logger, metrics: counted)
    let master: MasterSocket? =
      if case .masterSocket(let path)? = configuration.reload { MasterSocket(path: path) } else { nil }
    let sockets = configuration.sockets.map { path in
      ProxySocket(path: path, master: master, logger: logger, metrics: metrics) { [weak file] in
        await file?.configuration(loadedBy: $0)
      }
    }
    (self.wanted, self.file, self.metrics) = (wanted, file, counted)
    socketSync = SocketSync(sockets, wanted: wanted, clock: clock, logger: logger, metrics: counted)
    reloads = ReloadPolicy(
      configuration, marker: reloadMarker, sockets: socketSync, file: file, clock: clock, logger: logger,
      metrics: counted)
    trials = ListenTrials(configuration, sockets: socketSync, wanted: wanted, clock: clock)
    state = StateFile(configuration, saved: saved, wanted: wanted, clock: clock, logger: logger)
    workers = OldWorkers(configuration, sockets: sockets, logger: logger, metrics: counted)
  }

  /// Observes what runs, before the first snapshots: servers are to keep the ids they have there.
  func prepare() async {
    await socketSync.observe()
    await socketSync.recordIDs()
    if let text = file.text { wanted.recordListening(in: text) }
    _ = await wanted.setVersion(await targetVersion())
  }

  func apply(_ snapshots: [ServiceSnapshot]) { wanted.apply(snapshots) }

  /// The servers that services had when the agent started.
  func remembered(_ services: [ServiceSettings]) -> [String: [Backend]] {
    state.remembered(services, sockets: socketSync.sockets)
  }

  /// The installed release where that checks the file, else the one that runs.
  private func targetVersion() async -> HAProxyVersion? {
    await file.checkerVersion() ?? socketSync.sockets.compactMap(\.running).first?.version
  }

  func start() {
    wanted.onChange = { [weak self] in
      self?.socketSync.requestSync()
      self?.work.set()
    }
    socketSync.onSync = { [weak self] in self?.work.set() }
    file.onForeignChange = { [weak self] in self?.work.set() }
    socketSync.start(auditInterval: configuration.auditInterval) { [weak self] in
      // Another process may be another release.
      guard let self, await !wanted.setVersion(await targetVersion()) else { return }
      socketSync.requestSync()
    }
    task = Task { @LoopActor [weak self] in await self?.run() }
    tickers = [
      Ticker(every: .seconds(60), phase: .seconds(60), clock: clock) { [weak self] _ in self?.everyMinute() },
      Ticker(every: configuration.auditInterval, phase: configuration.auditInterval, clock: clock) { [file] _ in
        Task { @LoopActor in await file.look() }
      },
      Ticker(every: .seconds(2), phase: .seconds(2), clock: clock) { [weak self] _ in
        if let self, file.planRetry() { work.set() }
      },
      Ticker(every: workers.pause, phase: workers.pause, clock: clock) { [workers] _ in workers.killExcessWorkers() },
    ]
  }

  /// Stops both tasks after what they are at; HAProxy stays up.
  func stop() async {
    isStopped = true
    wanted.stop()
    reloads.end()
    for ticker in tickers { ticker.cancel() }
    work.cancelAppointment()
    work.set()
    await socketSync.stop()
    await task?.value
  }

  /// Forgets servers that left long ago, plans the next fold, and has the state file's age show that the agent lives.
  func everyMinute() {
    Task { @LoopActor in await wanted.expire() }
    state.touch()
    reloads.everyMinute()
    work.set()
  }

  private func run() async {
    while !isStopped {
      await work.wait()
      if isStopped { break }
      if let pause = file.pauseLeft {
        work.set(after: pause)
        continue
      }
      if !wanted.isReady { continue }
      await socketSync.waitUntilSynced()
      if let wait = await trials.run() { work.set(after: wait) }
      metrics.problems.value = Double(wanted.reportProblems())
      if await syncFile() {
        let (isReloaded, delay) = await reloads.reloadIfDue()
        if isReloaded { workers.killExcessWorkers() }
        if let delay { work.set(after: delay) }
      }
      if let wait = await state.writeIfDue() { work.set(after: wait) }
      file.recordRound()
    }
    // File and state are to say what HAProxy serves, so that the next agent has nothing to change.
    if wanted.isReady, file.isBehind || !state.isCurrent, await syncFile() { await state.write() }
  }

  /// - Returns: whether the file is the model's.
  private func syncFile() async -> Bool {
    switch await file.sync(willReplace: { reloads.markPending() }) {
    case .current: return true
    case .replaced:
      reloads.recordReplacedFile()
      return true
    case .kept(let delay):
      if let delay { work.set(after: delay) }
      return false
    }
  }
}
