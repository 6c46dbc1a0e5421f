public import AgentKit
internal import HAProxyConfigGen
public import Logging
public import Reactor
public import SmartStack
internal import ZooKeeper

/// The agent: watches every service of a configuration and keeps the outputs in agreement with them.
///
/// Nothing outside is touched before every service has been heard of, or ``SynapseConfiguration/firstDataDeadline``
/// has passed; services that are still silent then are served from what is remembered of them.
@LoopActor public final class Synapse {
  private var configuration: SynapseConfiguration
  private let clock: LoopClock
  private let logger: Logger
  private let metrics: Metrics
  private let context: AgentContext
  private let stateDirectory: String?

  private var watchers: [String: RunningWatcher] = [:]
  /// The last word on each service.
  private var snapshots: [String: ServiceSnapshot] = [:]
  /// When each last changed, in seconds since 1970.
  private var changeTimes: [String: Double] = [:]
  /// What is served of services that have not been heard of.
  private var remembered: [String: [Backend]] = [:]
  private var outputs: [any ConfigGenerator] = []
  private(set) var haproxy: HAProxyOutput?
  private var changed: Set<String> = []
  private var isActScheduled = false
  /// Services of the configuration to come, or of the first one, that have not been heard of.
  private var awaited: Set<String> = []
  private var next: SynapseConfiguration?
  private var firstDataTimer: LoopTimer?
  /// What the program before this one in this process knew; until the first output is made.
  private var inherited: SynapseUpgradeState?

  /// Called once, when the outputs have been told of every service for the first time.
  public var onReady: (@LoopActor () -> Void)?

  private struct RunningWatcher {
    let service: ServiceConfiguration
    let generation: Int
    let task: Task<Void, any Error>
  }
  private var generation = 0
  private var startedAt: LoopClock.Instant?

  /// An agent that does nothing yet.
  /// - Parameters:
  ///   - stateDirectory: where it notes what a crash must not lose; nil: nowhere.
  ///   - statsd: where the original's metrics go; nil: nowhere.
  ///   - inherited: what the program that this one has replaced knew.
  public init(
    _ configuration: SynapseConfiguration, stateDirectory: String?, clock: LoopClock = .system, logger: Logger,
    metrics: Metrics, statsd: StatsD? = nil, inherited: SynapseUpgradeState? = nil
  ) {
    self.configuration = configuration
    self.inherited = inherited
    self.stateDirectory = stateDirectory
    self.clock = clock
    self.logger = logger
    self.metrics = metrics
    let clients = ZooKeeperClients(clock: clock, logger: logger, metrics: metrics)
    context = AgentContext(clients: clients, clock: clock, logger: logger, metrics: metrics, statsd: statsd)
  }

  // MARK: Life

  /// Begins to watch; the outputs follow once there is data.
  public func start() {
    context.statsd?.increment("synapse.start")
    startedAt = clock.now
    logger.notice("synapse starts", with: [.count: configuration.services.count, .path: configuration.file])
    prepare(configuration)
    let version = SynapseProgram.version.split(separator: " ").last.map(String.init) ?? ""
    StatusReport.publish(in: metrics, version: version) { [weak self] in self?.status }
  }

  /// Stops watching. HAProxy goes on with what it has, files stay. Takes some seconds at most.
  public func stop() async {
    context.statsd?.increment("synapse.stop", tags: ["stop_avenue:clean", "stop_location:main_loop"])
    firstDataTimer?.cancel()
    for watcher in watchers.values { end(watcher) }
    watchers = [:]
    await within(.seconds(5)) { [outputs] in
      for output in outputs { await output.stop() }
    }
    await context.clients.closeAll()
    logger.notice("synapse has stopped, HAProxy goes on")
  }

  /// What a program in this one's place is to know; to be asked after ``stop()``.
  public var upgradeState: SynapseUpgradeState { haproxy.map { SynapseUpgradeState(of: $0) } ?? SynapseUpgradeState() }

  /// Goes over to another configuration, by difference: watchers of unchanged services go on, the outputs
  /// change once the new services have been heard of. A service that can no longer be read stays as it was.
  public func reload(_ configuration: SynapseConfiguration) {
    var configuration = configuration
    let known = Set(configuration.services.map(\.name))
    for leftOut in configuration.leftOut where !known.contains(leftOut.name) {
      if let old = self.configuration.services.first(where: { $0.name == leftOut.name }) {
        configuration.services.append(old)
        logger.warning("service stays as it was", with: [.service: old.name, .reason: leftOut.error])
      }
    }
    logger.notice(
      "configuration is read again", with: [.count: configuration.services.count, .path: configuration.file])
    prepare(configuration)
  }

  private func prepare(_ configuration: SynapseConfiguration) {
    report(configuration)
    next = configuration
    let wanted = Dictionary(configuration.services.map { ($0.name, $0) }, uniquingKeysWith: { _, last in last })
    for (name, watcher) in watchers where wanted[name] == nil {
      end(watcher)
      watchers[name] = nil
    }
    awaited = []
    for service in configuration.services {
      if let watcher = watchers[service.name], watcher.service.finds(likewise: service) {
        watchers[service.name] = RunningWatcher(service: service, generation: watcher.generation, task: watcher.task)
        if snapshots[service.name] == nil { awaited.insert(service.name) }
      } else {
        awaited.insert(service.name)
        watch(service)
      }
    }
    closeUnusedEnsembles(configuration)
    firstDataTimer?.cancel()
    firstDataTimer = clock.schedule(after: configuration.firstDataDeadline) { [weak self] in self?.deadlinePassed() }
    commitIfHeard()
  }

  private func report(_ configuration: SynapseConfiguration) {
    for warning in configuration.warnings { logger.warning("configuration", with: [.reason: warning]) }
    for leftOut in configuration.leftOut {
      logger.error("service is left out", with: [.service: leftOut.name, .reason: leftOut.error])
    }
    metrics.gauge("synapse_services_skipped", help: "Services whose configuration cannot be run.").value =
      Double(configuration.leftOut.count)
    metrics.gauge("synapse_services", help: "Services that are watched.").value = Double(configuration.services.count)
  }

  private func closeUnusedEnsembles(_ configuration: SynapseConfiguration) {
    let used = configuration.services.reduce(into: Set<String>()) { $0.formUnion($1.ensembles) }
    for key in context.clients.all.keys where !used.contains(key) {
      Task { @LoopActor [clients = context.clients] in await clients.close(key) }
    }
  }

  // MARK: Watching

  private func watch(_ service: ServiceConfiguration) {
    generation += 1
    let (name, mine) = (service.name, generation)
    if let old = watchers[name] { end(old) }
    context.statsd?.increment("synapse.watcher.start", tags: ["start_result:success", "watcher_name:\(name)"])
    let watcher = service.makeWatcher(context)
    let task = Task { @LoopActor [weak self] in
      try await watcher.run { snapshot in self?.take(snapshot, from: mine) }
    }
    watchers[name] = RunningWatcher(service: service, generation: mine, task: task)
  }

  private func end(_ watcher: RunningWatcher) {
    watcher.task.cancel()
    let tags = ["stop_avenue:clean", "stop_location:main_loop", "watcher_name:\(watcher.service.name)"]
    context.statsd?.increment("synapse.watcher.stop", tags: tags)
  }

  private func take(_ snapshot: ServiceSnapshot, from generation: Int) {
    guard watchers[snapshot.service]?.generation == generation else { return }
    let isNews = snapshots[snapshot.service] != snapshot
    snapshots[snapshot.service] = snapshot
    if awaited.remove(snapshot.service) != nil { commitIfHeard() }
    if isNews || awaited.isEmpty { changed.insert(snapshot.service) }
    if isNews {
      changeTimes[snapshot.service] = clock.unixTime
      scheduleAct()
    }
  }

  /// Everything that is queued on the loop now is taken in before the outputs are told, once.
  private func scheduleAct() {
    if isActScheduled || outputs.isEmpty { return }
    isActScheduled = true
    Task { @LoopActor in self.act() }
  }

  private func act() {
    isActScheduled = false
    let news = changed.sorted().compactMap { snapshots[$0] }
    changed = []
    context.statsd?.increment("synapse.config.update")
    for output in outputs { output.apply(news) }
  }

  // MARK: Looking

  /// Makes the server of the report: `/` is a page, `/metrics` Prometheus' text.
  func makeStatusServer(metrics: Metrics, logger: Logger) -> StatusServer {
    StatusText.makeServer(metrics: metrics, logger: logger) { [weak self] in
      self?.status.json(version: SynapseProgram.version, now: LoopClock.system.unixTime) ?? .null
    }
  }

  /// The agent as an operator sees it.
  var status: StatusReport {
    StatusReport(
      configurationFile: configuration.file,
      services: configuration.services.map { service in
        ServiceStatus(
          configuration: service, snapshot: snapshots[service.name], lastChange: changeTimes[service.name],
          remembered: remembered[service.name] ?? [])
      },
      skipped: configuration.leftOut.map(\.description),
      haproxy: haproxy.map { ($0.isCurrent, $0.status) })
  }

  // MARK: Outputs

  private func commitIfHeard() {
    if awaited.isEmpty { commit() }
  }

  private func deadlinePassed() {
    guard next != nil, !awaited.isEmpty else { return }
    logger.warning(
      "some services have not been heard of, what is remembered of them is served",
      with: [.count: awaited.count, .service: awaited.sorted().prefix(5).joined(separator: ", ")])
    commit()
  }

  private func commit() {
    guard let next else { return }
    self.next = nil
    firstDataTimer?.cancel()
    let silent = awaited
    awaited = []
    let before = outputs.isEmpty ? nil : configuration
    configuration = next
    let names = Set(next.services.map(\.name))
    for name in snapshots.keys where !names.contains(name) {
      snapshots[name] = nil
      changeTimes[name] = nil
    }
    Task { @LoopActor in await self.switchOutputs(from: before, silent: silent) }
  }

  private func switchOutputs(from before: SynapseConfiguration?, silent: Set<String>) async {
    let replaced = outputs.filter { !canKeep($0) }
    outputs.removeAll { output in replaced.contains { $0 === output } }
    for output in replaced { await output.stop() }
    let kept = outputs.contains { $0 === haproxy } ? haproxy : nil
    haproxy = kept ?? makeHAProxyOutput(memory: haproxy?.memory)
    if kept == nil { await haproxy?.prepare() }
    remembered = haproxy.map { rememberedServers(of: silent, in: $0) } ?? [:]
    kept?.replaceServices(configuration.services.map(\.haproxy))
    var made: [any ConfigGenerator] = kept == nil ? [haproxy].compactMap { $0 } : []
    if let fileOutput = configuration.fileOutput {
      made.append(FileOutput(fileOutput, services: names(of: \.writesFile), clock: clock, logger: logger))
    }
    if let execOutput = configuration.execOutput {
      let kept = outputs.lazy.compactMap { $0 as? ExecOutput }.first
      kept?.replaceServices(names(of: \.isTold))
      if kept == nil {
        made.append(ExecOutput(execOutput, services: names(of: \.isTold), clock: clock, logger: logger))
      }
    }
    for output in made { output.start() }
    outputs += made
    changed = []
    // Whoever has spoken meanwhile is no longer in need of being remembered.
    let known = configuration.services.compactMap { snapshots[$0.name] }
    let silentOnes = remembered.keys.sorted().filter { snapshots[$0] == nil }
    let news = known + silentOnes.map { ServiceSnapshot(service: $0, backends: remembered[$0] ?? []) }
    for output in outputs { output.apply(news) }
    if let startedAt { context.statsd?.timing("synapse.watchers.start.time", elapsed: clock.now - startedAt) }
    startedAt = nil
    onReady?()
    onReady = nil
  }

  /// Whether an output goes on under the configuration as it is now.
  private func canKeep(_ output: any ConfigGenerator) -> Bool {
    switch output {
    case let output as HAProxyOutput: output.configuration == configuration.haproxy
    // A new one would have to wait for the run of the old one, or run beside it.
    case let output as ExecOutput: output.configuration == configuration.execOutput
    default: false
    }
  }

  private func makeHAProxyOutput(memory: ServerMemory?) -> HAProxyOutput? {
    guard let section = configuration.haproxy else { return nil }
    let handedOver = inherited
    inherited = nil
    let saved = handedOver?.memory ?? section.stateFilePath.flatMap { try? Files.read($0, limit: 1 << 28) }
    let marker = stateDirectory.map { "\($0)/reload-pending-\(StableHash(section.filePath).hexadecimal)" }
    let output = HAProxyOutput(
      section, services: configuration.services.map(\.haproxy), savedState: saved,
      memory: memory ?? saved.map(ServerMemory.init(stateFile:)) ?? .init(), reloadMarker: marker, clock: clock,
      logger: logger, metrics: metrics, statsd: context.statsd)
    if let handedOver { output.reloads.wait(handedOver.reloadDelay) }
    return output
  }

  /// The servers of services without data: nothing that serves is emptied.
  private func rememberedServers(of services: Set<String>, in output: HAProxyOutput) -> [String: [Backend]] {
    let silent = configuration.services.filter { services.contains($0.name) }
    let defaults = Dictionary(silent.map { ($0.name, $0.rules.defaultServers) }, uniquingKeysWith: { $1 })
    return output.remembered(silent.map(\.haproxy)).merging(defaults) { known, defaults in
      known.isEmpty ? defaults : known
    }
  }

  /// The services that an output is to have.
  private func names(of isIncluded: (ServiceConfiguration) -> Bool) -> Set<String> {
    Set(configuration.services.filter(isIncluded).map(\.name))
  }

  /// Runs `body`, but does not wait for it longer than `limit`.
  private func within(_ limit: Duration, _ body: @escaping @LoopActor () async -> Void) async {
    _ = try? await withDeadline(after: limit, clock: clock, body)
  }
}

extension ServiceConfiguration {
  /// Whether a watcher of this service finds what one of the other would.
  func finds(likewise other: ServiceConfiguration) -> Bool { discovery == other.discovery && rules == other.rules }
}
