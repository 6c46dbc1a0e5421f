public import HAProxyConfigGen
public import Logging
public import Reactor
public import SmartStack

/// One running HAProxy as its stats socket shows it, and what is known of the file it has loaded.
@LoopActor public final class ProxySocket {
  /// How far commands have brought HAProxy to a model.
  public enum Outcome: Equatable, Sendable {
    /// HAProxy serves the model.
    case matches
    /// HAProxy does not, for these reasons; commands did what they could.
    case needsReload([ReloadReason])
    /// Another process answered than the one that was planned for: the model is to be applied again.
    case restarted
    /// HAProxy does not answer.
    case unreachable(String)
  }

  /// The process behind the socket, as far as it is known.
  private struct Process {
    var info: ProxyInfo?
    /// What it runs; nil: unknown, to be observed before anything is planned.
    var running: RunningProxy?
    /// What it has loaded; nil: unknown.
    var loaded: LoadedConfiguration?
    /// Servers that it got by commands, as far as this agent saw it.
    var addedServers = 0
    /// Commands that it has refused: sending them again would change nothing.
    var refused: Set<String> = []
    /// Whether it has servers that are to be deleted as soon as that can be done.
    var hasDepartures = false
    /// Servers with checks when it was first observed, which its descriptors were counted for.
    var checkedServers = 0
    /// Whether ``takeNewProcess()`` has told of it.
    var isTold = false
  }

  /// One command as it is planned and as it is sent.
  private typealias Command = (planned: RuntimeCommand, socket: SocketCommand)

  /// The path of the stats socket.
  public nonisolated let path: String
  let client: HAProxyRuntimeClient
  private var process = Process()
  private var mustObserve = false
  /// Grows with every change that is made, so that a look from before is not compared with what came after.
  package private(set) var epoch = 0
  /// The last audit that found agreement; nil: the last one did not.
  package var lastAgreement: (digest: StableHash, epoch: Int)?
  /// An audit found something else than commands had brought about.
  private var isDriftSuspected = false
  /// How often HAProxy was found changed by another program.
  public private(set) var drifts = 0
  private var lastAdded: Set<ServerPath> = []
  /// Whether the last call of ``apply(_:changed:)`` left nothing to be done.
  public private(set) var isInSync = false
  /// The reasons last logged, so that a standing one is logged once.
  private var lastReasons: [ReloadReason] = []
  private let loadedByOther: @LoopActor (ProxyInfo) async -> LoadedConfiguration?
  /// What a process loads that appears now; nil: no reload of ours is under way.
  private var expected: LoadedConfiguration?
  private let logger: Logger
  private let counters: (commands: Counter, refusals: Counter, drifts: Counter)

  /// - Parameters:
  ///   - master: the command line of the master, which is asked while the socket's file is missing; nil: nobody is.
  ///   - loadedByOther: what a process has loaded that another program started; nil: unknown.
  public init(
    path: String, master: MasterSocket?, logger: Logger, metrics: Metrics,
    loadedByOther: @escaping @LoopActor (ProxyInfo) async -> LoadedConfiguration?
  ) {
    self.path = path
    client = HAProxyRuntimeClient(socket: path, master: master)
    self.loadedByOther = loadedByOther
    self.logger = logger
    counters = (
      metrics.counter("synapse_haproxy_commands_total", help: "Commands sent to HAProxy's socket."),
      metrics.counter("synapse_haproxy_refusals_total", help: "Commands that HAProxy refused."),
      metrics.counter(
        "synapse_haproxy_drifts_total", help: "Changes of HAProxy or of its file by another program.")
    )
  }

  /// The process that answered last; nil: none has.
  public var info: ProxyInfo? { process.info }
  /// The process id of the process that answered last.
  public var pid: Int? { process.info?.pid }
  /// The version that HAProxy itself reports; nil: it has not answered.
  public var version: String? { process.info?.version }
  /// What runs; nil: unknown.
  public var running: RunningProxy? { process.running }
  /// Servers with checks when the process was first observed.
  public var checkedServers: Int { process.checkedServers }
  /// Where the process listens; nil: unknown.
  public var listening: Set<ListenAddress>? { process.loaded?.listening }
  /// Whether the socket's file is missing, so that the master passes commands on.
  public var isThroughMaster: Bool { client.isThroughMaster }
  /// Whether this host's addresses are the process's, as far as that can be seen.
  public var isInThisNetwork: Bool {
    guard let pid = pid.flatMap(Int32.init(exactly:)), let record = ProcessRecord.read(pid) else { return false }
    return record.name.hasPrefix("haproxy") && record.sharesNetwork
  }
  /// Whether the process has servers that wait for their deletion.
  var hasDepartures: Bool { process.hasDepartures }
  /// Servers that the process got by commands, as far as this agent saw it.
  public var addedServers: Int { process.addedServers }

  // MARK: Questions

  /// Reads everything that runs.
  public func observe() async throws(HAProxyRuntimeError) {
    let observed = try await client.observe()
    _ = await record(observed.info)
    var running = observed.running
    if let before = process.running {
      running.recordAgents(since: before)
    } else {
      process.checkedServers = running.checkedServers
    }
    process.running = running
  }

  /// Asks which process answers.
  /// - Returns: whether it is another one than before; what ran is forgotten then.
  public func checkProcess() async throws(HAProxyRuntimeError) -> Bool {
    await record(try await currentInfo())
  }

  /// What a process runs that has not been told of before; nil: there is none.
  public func takeNewProcess() -> RunningProxy? {
    if process.isTold || process.running == nil { return nil }
    process.isTold = true
    return process.running
  }

  /// The process that answers now; nothing is recorded.
  public func currentInfo() async throws(HAProxyRuntimeError) -> ProxyInfo {
    try ProxyInfo(parsing: try await client.run(.showInfo))
  }

  /// The servers of all backends, as HAProxy's statistics have them now or, where there are thousands, had them a moment
  /// ago.
  public func statistics() async throws(HAProxyRuntimeError) -> StatsPage { try await client.statistics() }

  /// `show servers state`, as HAProxy reads it back after a reload.
  public func serverState() async throws(HAProxyRuntimeError) -> String { try await client.run(.showServers) }

  /// Records that a process which appears from now on has loaded this; nil: the reload has ended.
  public func expect(_ loaded: LoadedConfiguration?) { expected = loaded }

  /// Whether a reload of ours is under way.
  var isReloading: Bool { expected != nil }

  /// Has everything that runs observed again before the next plan.
  ///
  /// Not at once: a plan that is being carried out still needs to know what it was made for.
  /// - Parameter isDriftSuspected: whether another program seems to have changed HAProxy; nil: as before.
  public func observeAgain(isDriftSuspected: Bool? = nil) {
    mustObserve = true
    if let isDriftSuspected { self.isDriftSuspected = isDriftSuspected }
  }

  // MARK: Commands

  /// Brings what runs to `model`, as far as commands can.
  /// - Parameter changed: the services whose servers have changed since the last call; nil: anything may have.
  public func apply(_ model: ProxyModel, changed: Set<String>?) async -> Outcome {
    // Only what was in sync as a whole may be planned in part.
    let isDoubtful = mustObserve || running == nil
    let part = isInSync && !isDoubtful ? changed : nil
    isInSync = false
    epoch += 1
    mustObserve = false
    do {
      if isDoubtful { try await observe() }
      let plan = await plan(for: model, part: part)
      process.hasDepartures = plan.hasDepartures || part != nil && hasDepartures
      lastAdded = []
      let reasons = plan.isEmpty ? [] : plan.reloadReasons + (try await send(plan.commands))
      // What commands did is done, whatever has to wait for a reload.
      process.loaded?.note(added: lastAdded, of: model)
      if running == nil {
        process.addedServers = lastAdded.count
        return .restarted
      }
      report(reasons)
      if !reasons.isEmpty { return .needsReload(reasons) }
      isInSync = await recordLoaded(model, part: part)
      return .matches
    } catch {
      mustObserve = true
      return .unreachable(error.description)
    }
  }

  private func plan(for model: ProxyModel, part: Set<String>?) async -> Plan {
    guard let running else { return Plan() }
    let loaded = process.loaded
    let start = ContinuousClock.now
    defer { logger.debug("changes planned", with: [.elapsed: ContinuousClock.now - start]) }
    return await BlockingWork.compute(items: part.map(model.serverCount) ?? .max) {
      if let part { return Planner.plan(running: running, loaded: loaded, wanted: model, services: part) }
      return Planner.plan(running: running, loaded: loaded, wanted: model)
    }
  }

  /// Records that every command was obeyed: what is loaded is what the model says.
  /// - Returns: whether it is still the same process.
  private func recordLoaded(_ model: ProxyModel, part: Set<String>?) async -> Bool {
    guard let loaded = process.loaded, let pid, let running else { return false }
    let updated = await BlockingWork.compute(items: part.map(model.serverCount) ?? .max) {
      var loaded = loaded
      if let part {
        loaded.update(to: model, services: part)
      } else {
        loaded.update(to: model)
        loaded.prune(model, running: running)
      }
      return loaded
    }
    guard self.pid == pid, self.running != nil else { return false }
    process.loaded = updated
    return true
  }

  /// - Returns: why these commands were not enough.
  private func send(_ planned: [RuntimeCommand]) async throws(HAProxyRuntimeError) -> [ReloadReason] {
    let (before, refused) = (process.info, process.refused)
    let (commands, complaints) = await BlockingWork.compute(items: planned.count) {
      ProxySocket.sendable(planned, besides: refused)
    }
    countDrift(repairs: commands.map(\.planned))
    if commands.isEmpty { return complaints }
    let backends = Set(commands.compactMap(\.planned.path?.backend)).sorted()
    var batch = commands.map(\.socket)
    for backend in backends { batch.append(try .showServers(of: backend)) }
    batch.append(.showInfo)
    let start = ContinuousClock.now
    let outcomes = try await client.run(batch)
    counters.commands.increment(by: Double(commands.count))
    // A reload may have put another process in its place, which knows nothing of all that.
    guard isKnown(before) else { return [] }
    let reasons = complaints + judge(commands, outcomes: outcomes)
    try await record(backends, after: commands.map(\.planned), from: Array(outcomes.dropFirst(commands.count)))
    logger.info("servers updated", with: [.count: commands.count, .elapsed: ContinuousClock.now - start])
    return reasons
  }

  private func countDrift(repairs: [RuntimeCommand]) {
    defer { isDriftSuspected = false }
    guard isDriftSuspected, let first = repairs.first else { return }
    drifts += 1
    counters.drifts.increment()
    logger.warning("HAProxy drift detected", with: [.path: path, .count: repairs.count, .command: first.text])
  }

  private nonisolated static func sendable(
    _ planned: [RuntimeCommand], besides refused: Set<String>
  ) -> (commands: [Command], complaints: [ReloadReason]) {
    var commands: [Command] = []
    var complaints: [ReloadReason] = []
    // A server that HAProxy does not let go of is not even put into maintenance.
    let stuck = Set(planned.filter { $0.isRequiredDeletion && refused.contains($0.text) }.map(\.path))
    for command in planned {
      do throws(HAProxyRuntimeError) {
        let socket = try SocketCommand(command)
        if !refused.contains(socket.text), !stuck.contains(command.path) {
          commands.append((command, socket))
        } else if !command.isOptional {
          complaints.append(ReloadReason("HAProxy refused `\(socket.text)`", service: command.path?.backend))
        }
      } catch {
        complaints.append(ReloadReason(error.description, service: command.path?.backend))
      }
    }
    return (commands, complaints)
  }

  /// Records what HAProxy said to each command.
  /// - Returns: why they were not enough.
  private func judge(_ commands: [Command], outcomes: [Result<String, HAProxyRuntimeError>]) -> [ReloadReason] {
    let isVerbose = logger.logLevel <= .debug
    var refusals: [(command: RuntimeCommand, error: HAProxyRuntimeError)] = []
    for ((command, _), outcome) in zip(commands, outcomes) {
      if case .failure(let error) = outcome {
        counters.refusals.increment()
        // A server that still has connections is deleted later.
        if !command.isOptional { refusals.append((command, error)) }
        continue
      }
      if command.isAddition, let path = command.path {
        process.addedServers += 1
        lastAdded.insert(path)
      }
      if case .enableFrontend(let name) = command { process.running?.pausedFrontends.remove(name) }
      if isVerbose { logger.debug("command accepted", with: [.command: command.text]) }
    }
    process.refused.formUnion(refusals.lazy.map(\.command.text))
    // There may be one per server; a few are enough.
    for (command, error) in refusals.prefix(5) {
      logger.warning("command refused", with: [.command: command.text, .reason: error, .count: refusals.count])
    }
    return refusals.map { ReloadReason($0.error.description, service: $0.command.path?.backend) }
  }

  /// Records the state of the touched backends, read on the same connection.
  private func record(
    _ backends: [String], after commands: [RuntimeCommand], from outcomes: [Result<String, HAProxyRuntimeError>]
  ) async throws(HAProxyRuntimeError) {
    let before = running
    for (backend, outcome) in zip(backends, outcomes) {
      guard case .success(let text) = outcome else { continue }
      // About a hundred bytes are a server.
      let read = await BlockingWork.compute(items: text.utf8.count / 100) {
        Result { () throws(HAProxyRuntimeError) in try RunningProxy.backends(in: text) }
      }
      var now = RunningProxy(version: HAProxyVersion(0, 0), backends: try read.get())
      if let before { now.recordAgents(since: before) }
      process.running?.backends[backend] = now.backends[backend] ?? [:]
    }
    for case .setMaintenance(let path) in commands {
      process.running?.backends[path.backend]?[path.server]?.restsByAgent = false
    }
    if case .success(let text)? = outcomes.last { _ = await record(try ProxyInfo(parsing: text)) }
  }

  /// Records which process has answered.
  /// - Returns: whether it is another one than before.
  private func record(_ now: ProxyInfo) async -> Bool {
    if isKnown(now) {
      process.info = now
      return false
    }
    var loaded = expected
    if loaded == nil { loaded = await loadedByOther(now) }
    // Somebody else may have recorded it meanwhile.
    if isKnown(now) { return false }
    defer { process = Process(info: now, loaded: loaded) }
    guard process.info != nil else { return false }
    logger.notice("HAProxy process changed", with: [.pid: now.pid])
    return true
  }

  private func isKnown(_ info: ProxyInfo?) -> Bool {
    guard let info else { return process.info == nil }
    return process.info?.isSameProcess(as: info) == true
  }

  /// Logs why a reload is needed, when that is news.
  private func report(_ reasons: [ReloadReason]) {
    if reasons == lastReasons { return }
    lastReasons = reasons
    // A first start has one per section; a few are enough.
    for reason in reasons.prefix(5) {
      logger.info("reload required", with: [.reason: reason, .count: reasons.count])
    }
  }
}
