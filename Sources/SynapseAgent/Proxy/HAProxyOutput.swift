internal import HAProxyConfigGen
internal import HAProxyRuntime
internal import Logging
internal import Reactor
internal import SmartStack
internal import YAMLConfig

/// Makes one host's HAProxy serve what the registry says.
///
/// Two tasks share the work. The fast one plans and speaks to the sockets; nothing ever delays it but the
/// sockets themselves. The slow one renders the file, has it checked, replaces it, reloads HAProxy when
/// commands were not enough, and writes the state file; what comes while it works waits for its next round.
@LoopActor final class HAProxyOutput: ConfigGenerator {
  let configuration: HAProxyConfiguration
  /// The same as it was configured, before this machine had its say.
  let original: HAProxyConfiguration
  /// The state file as it was found.
  var savedState: [UInt8]?
  let clock: LoopClock
  let logger: Logger
  let instruments: Instruments
  let checker: FileChecker
  let reloadMarker: String?

  var model: ProxyModel
  /// The services whose servers have changed since the sockets were acted on; nil: anything may have.
  private var changedServices: Set<String>?
  /// Grows with every change of the model.
  var revision = 1
  private(set) var sockets: [ProxySocket] = []
  /// How often acting on the sockets has been asked for, and which of the calls have been answered.
  private var actsWanted = 0
  private var actsDone = 0
  /// Why HAProxy must be reloaded; empty: it need not.
  private(set) var reloadReasons: [String] = []

  /// The file as it stands on disk; nil: there is none, or it cannot be read.
  var fileText: String?
  var fileRevision = 0
  var rendered: (revision: Int, file: RenderedConfiguration)?
  /// The file has been replaced since HAProxy loaded one; only kept where no socket tells.
  var isFileUnloaded = false
  var schedule: ReloadSchedule
  /// When servers that came at run time are to become the file's; nil: there are none, or never.
  var foldDue: LoopClock.Instant?
  /// The last reloads.
  var history = ReloadHistory()
  /// Servers that left and are still in HAProxy's memory, as of the last minute.
  var leftovers = 0
  /// The processes that reloads have replaced.
  var workers = WorkerWatch()
  var generator = SystemRandomNumberGenerator()
  var lastFileWork: (at: LoopClock.Instant, took: Duration)?
  /// The last writing of the state file, and the revision it holds; nil: what it holds is not known.
  var lastStateWrite: (at: LoopClock.Instant, took: Duration)?
  var stateRevision: Int?
  /// It is to be written again although nothing has changed: its age shows that we live.
  var isStateOld = false

  let slowWork: AsyncSignal
  private let fastWork: AsyncSignal
  private var settling = OneShotEvent<Void>()
  private(set) var isStopped = false
  /// Whether there is anything to bring HAProxy to: nothing is touched before.
  private(set) var isReady = false
  private var isProbing = false
  private var isAuditing = false
  private var nextLook: LoopTimer?
  private var failedLooks = 0
  /// A process that does not answer for a moment is no reason for a reload: after these looks, 1.6 s, it is.
  private static let looksBeforeReload = 6
  /// Whether all sockets answered when they were last acted on.
  var isReachable: Bool { unreachable.isEmpty }
  private var tasks: [Task<Void, Never>] = []
  private var tickers: [Ticker] = []
  private var reported: Set<ConfigProblem> = []
  private var unreachable: Set<String> = []
  private var generatorConfigs: [String: String] = [:]

  init(
    _ configuration: HAProxyConfiguration, services: [ServiceConfiguration], memory: ServerMemory,
    context: AgentContext, reloadMarker: String?
  ) {
    original = configuration
    var configuration = configuration
    checker = FileChecker(configuration.check)
    configuration.generator.keepsUnknownDirectives = checker.isActive
    self.configuration = configuration
    clock = context.clock
    logger = context.logger
    self.reloadMarker = reloadMarker
    instruments = Instruments(context.metrics, statsd: context.statsd)
    model = ProxyModel(settings: configuration.generator, services: services.map(\.haproxy), memory: memory)
    schedule = ReloadSchedule(interval: configuration.reloadInterval, jitter: configuration.reloadJitter)
    slowWork = AsyncSignal(clock: clock)
    fastWork = AsyncSignal(clock: clock)
    fileText = HAProxyOutput.readFile(configuration.filePath)
    sockets = configuration.sockets.map { path in
      ProxySocket(path: path, logger: context.logger, metrics: context.metrics) { [weak self] in self?.loadedFromFile()
      }
    }
    for socket in sockets { socket.setLoaded(isReloadPending ? nil : loadedFromFile()) }
    isFileUnloaded = isReloadPending
  }

  // MARK: Services

  /// Looks at what runs, before the first snapshots: servers are to keep the ids they have there.
  func prepare() async {
    for socket in sockets {
      do { try await socket.observe() } catch {
        logger.info("HAProxy cannot be asked", with: [.path: socket.path, .reason: error])
      }
      if let running = socket.running { model.noteIDs(of: running) }
    }
    if let version = await targetVersion() { _ = model.take(version: version) }
  }

  /// The release that is to load the file: the installed one where that checks it, else the one that runs.
  private func targetVersion() async -> HAProxyVersion? {
    if let version = await checker.version() { return version }
    return sockets.compactMap(\.running).first?.version
  }

  /// Another process may be another release.
  private func processChanged() async {
    if let version = await targetVersion(), model.take(version: version) { modelChanged() } else { act() }
  }

  /// Takes services as they are now; unnamed ones are as before.
  func reconcile(_ snapshots: [ServiceSnapshot]) async throws {
    isReady = true
    let now = Int(clock.unixTime)
    for snapshot in snapshots {
      adoptGeneratorConfig(snapshot, now: now)
      model.apply(snapshot, now: now)
    }
    modelChanged(in: Set(snapshots.map(\.service)))
  }

  /// Something about the model is another: both tasks have work.
  /// - Parameter services: where, if only servers have changed; nil: anything may have.
  func modelChanged(in services: Set<String>? = nil) {
    revision += 1
    if let services { changedServices?.formUnion(services) } else { changedServices = nil }
    act()
    slowWork.set()
  }

  /// The sockets are to be compared with the model once more.
  func act() {
    actsWanted += 1
    fastWork.set()
  }

  /// A section from the registry replaces the configured one as a whole.
  private func adoptGeneratorConfig(_ snapshot: ServiceSnapshot, now: Int) {
    guard let text = snapshot.generatorConfig, generatorConfigs[snapshot.service] != text else { return }
    generatorConfigs[snapshot.service] = text
    do throws(ConfigError) {
      let top = try ConfigSection(YAMLDocument.parse(Array(text.utf8), file: "the registry"))
      guard let section = try top.optionalSection("haproxy") else { return }
      model.replace(try HAProxySectionDecoder.service(snapshot.service, section), now: now)
      changedServices = nil
      logger.info("service takes its haproxy section from the registry", with: [.service: snapshot.service])
    } catch {
      logger.warning(
        "generator sections in the registry are ignored", with: [.service: snapshot.service, .reason: error])
    }
  }

  /// Nothing that was known of services counts any more.
  func forgetServices() {
    generatorConfigs = [:]
    changedServices = nil
  }

  func reportProblems() {
    let problems = Set(model.problems)
    for problem in model.problems where !reported.contains(problem) {
      let about: KeyValuePairs<LogKey, any CustomStringConvertible> = [
        .service: problem.origin, .reason: problem.message,
      ]
      if problem.severity == .doubt {
        logger.warning("part of the configuration may be wrong", with: about)
      } else {
        logger.warning("part of the configuration is left out", with: about)
      }
    }
    reported = problems
    instruments.problems.value = Double(problems.count)
  }

  // MARK: Running

  /// Starts both tasks; nothing is touched before the first call of ``reconcile(_:)``.
  func start() {
    tasks.append(Task { @LoopActor [weak self] in await self?.runFast() })
    tasks.append(Task { @LoopActor [weak self] in await self?.runSlow() })
    if !sockets.isEmpty {
      tickers.append(Ticker(every: .seconds(2), phase: .seconds(2), clock: clock) { [weak self] _ in self?.probe() })
      tickers.append(
        Ticker(every: configuration.auditInterval, phase: configuration.auditInterval, clock: clock) { [weak self] _ in
          self?.audit()
        })
      tickers.append(
        Ticker(every: workerPause, phase: workerPause, clock: clock) { [weak self] _ in self?.boundOldWorkers() })
    }
    tickers.append(
      Ticker(every: .seconds(60), phase: .seconds(60), clock: clock) { [weak self] _ in self?.minute() })
  }

  /// Ends both tasks after what they are at; HAProxy goes on serving.
  func stop() async {
    isStopped = true
    nextLook?.cancel()
    for ticker in tickers { ticker.cancel() }
    slowWork.cancelAppointment()
    fastWork.set()
    slowWork.set()
    for task in tasks { await task.value }
  }

  private func runFast() async {
    while !isStopped {
      await fastWork.wait()
      if isStopped { break }
      let wanted = actsWanted
      if wanted == actsDone { continue }
      await actOnSockets()
      actsDone = wanted
      if actsDone == actsWanted { resumeSettling() }
      slowWork.set()
    }
    resumeSettling()
  }

  /// Returns once the sockets have been brought to the model as it is.
  func settled() async {
    if isStopped || actsDone == actsWanted { return }
    await settling.outcome()
  }

  private func resumeSettling() {
    settling.happen()
    settling = OneShotEvent()
  }

  // MARK: Sockets

  private func actOnSockets() async {
    let (wanted, changed) = (model, changedServices)
    changedServices = []
    var reasons: [String] = []
    for socket in sockets {
      var outcome = await socket.apply(wanted, changed: changed)
      if outcome == .restarted { outcome = await socket.apply(wanted, changed: nil) }
      reasons += note(outcome, of: socket)
    }
    instruments.acted(at: clock.now)
    if sockets.isEmpty { return }
    reloadReasons = reasons
  }

  private func note(_ outcome: ProxySocket.Outcome, of socket: ProxySocket) -> [String] {
    let path = socket.path
    if case .unreachable(let reason) = outcome {
      if unreachable.insert(path).inserted {
        failedLooks = 0
        logger.warning("HAProxy cannot be asked", with: [.path: path, .reason: reason])
      }
      lookAgainSoon()
      return failedLooks > HAProxyOutput.looksBeforeReload ? [reason] : []
    }
    if unreachable.remove(path) != nil { logger.notice("HAProxy answers again", with: [.path: path]) }
    switch outcome {
    case .matches, .unreachable: return []
    case .restarted: return ["HAProxy restarts while it is being spoken to"]
    case .needsReload(let reasons): return reasons
    }
  }

  /// Has a look at the process: another one must be brought to what is wanted, as must one that is back.
  private func probe() {
    if isProbing || !isReady { return }
    isProbing = true
    Task { @LoopActor in
      for socket in sockets {
        let wasUnreachable = unreachable.contains(socket.path)
        do {
          if try await socket.checkProcess() || wasUnreachable { await processChanged() }
        } catch {
          socket.observeAgain()
          if wasUnreachable { lookAgainSoon() }
          if !wasUnreachable || failedLooks == HAProxyOutput.looksBeforeReload + 1 { act() }
        }
      }
      isProbing = false
    }
  }

  /// A process that starts is brought to what is wanted as soon as it answers, not with the next regular look.
  private func lookAgainSoon() {
    if isStopped || nextLook?.isPending == true { return }
    let delay = Duration.milliseconds(25 << min(failedLooks, 6))
    failedLooks += 1
    nextLook = clock.schedule(after: delay) { [weak self] in self?.probe() }
  }

  /// Compares what runs with what was brought about, whoever else may have a hand in it.
  private func audit() {
    if !isReady || isAuditing { return }
    isAuditing = true
    Task { @LoopActor in
      for socket in sockets {
        guard let result = try? await socket.audit(), result == .differs || result == .unsettled else { continue }
        socket.observeAgain(isDriftSuspected: result == .differs)
        act()
      }
      isAuditing = false
    }
  }

  /// What a process has loaded that started while the file stood as it does.
  func loadedFromFile() -> LoadedConfiguration? {
    // The model's fingerprints are those of its file, and take no memory of their own.
    if fileRevision == revision, configuration.writesFile { return LoadedConfiguration(model) }
    return fileText.map { LoadedConfiguration(text: $0) }
  }

  private static func readFile(_ path: String) -> String? {
    guard !path.isEmpty, let bytes = try? Files.read(path, limit: 1 << 30) else { return nil }
    return String(decoding: bytes, as: UTF8.self)
  }
}
