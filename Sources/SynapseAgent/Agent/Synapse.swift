internal import AgentKit
internal import Logging
internal import Reactor
internal import SmartStack
internal import ZooKeeper

/// The agent: watches every service of a configuration and keeps the outputs in sync with them.
///
/// Nothing outside is touched before every service has a snapshot, or ``SynapseConfiguration/firstDataDeadline``
/// has passed; services without one are then served from what is remembered of them.
@LoopActor final class Synapse {
  private var configuration: SynapseConfiguration
  private let context: AgentContext
  private let watches: ServiceWatches
  private let outputs: AgentOutputs

  /// What is served of services without a snapshot, and beside a snapshot that is not the whole.
  private var remembered: [String: [Backend]] = [:]
  /// Services whose snapshots the outputs have not seen.
  private var changed: Set<String> = []
  private var isUpdateScheduled = false
  /// Services of the next configuration, or of the first one, that have no snapshot yet.
  private var awaited: Set<String> = []
  private var next: SynapseConfiguration?
  private var firstDataTimer: LoopTimer?
  private var startedAt: LoopClock.Instant?
  /// The last change of the outputs. Each waits for the one before it: two at once would start an output twice, or lose
  /// one that still runs.
  private var switching: Task<Void, Never>?

  /// Why the file is rejected while an older configuration is active, and since when.
  private var rejection: (reason: String, since: Double)?

  /// Called once, when the outputs have seen every service for the first time.
  var onReady: (@LoopActor () -> Void)?

  /// An agent that does nothing yet.
  /// - Parameters:
  ///   - stateDirectory: where it notes what a crash must not lose; nil: nowhere.
  ///   - statsd: where upstream's metrics go; nil: nowhere.
  ///   - inherited: what the program that this one has replaced knew.
  init(
    _ configuration: SynapseConfiguration, stateDirectory: String?, clock: LoopClock = .system, logger: Logger,
    metrics: Metrics, statsd: StatsD? = nil, inherited: SynapseUpgradeState? = nil
  ) {
    self.configuration = configuration
    let readers = ZooKeeperReaders(tls: configuration.tls, clock: clock, logger: logger, metrics: metrics)
    context = AgentContext(readers: readers, clock: clock, logger: logger, metrics: metrics, statsd: statsd)
    outputs = AgentOutputs(context: context, stateDirectory: stateDirectory, inherited: inherited)
    watches = ServiceWatches(context: context)
    watches.registrations = { [outputs] in outputs.registrations(of: $0) }
    watches.onSnapshot = { [weak self] snapshot, isNews in self?.receive(snapshot, isNews: isNews) }
  }

  // MARK: Life

  /// The outputs follow once there is data.
  func start() {
    context.statsd?.increment("synapse.start")
    startedAt = context.clock.now
    context.logger.notice("synapse started", with: [.count: configuration.services.count, .path: configuration.file])
    outputs.recall(configuration)
    prepare(configuration)
    StatusReport.publish(in: context.metrics, version: Release.version) { [weak self] in self?.status }
  }

  /// Stops watching. HAProxy goes on with what it has, files stay. Takes some seconds at most.
  func stop() async {
    context.statsd?.increment("synapse.stop", tags: ["stop_avenue:clean", "stop_location:main_loop"])
    firstDataTimer?.cancel()
    watches.stop()
    _ = try? await withDeadline(after: .seconds(5), clock: context.clock) { [outputs, switching] in
      await switching?.value
      await outputs.stop()
    }
    await context.readers.closeAll()
    context.logger.notice("synapse stopped, HAProxy continues")
  }

  /// What a program in this one's place is to know; to be asked after ``stop()``.
  var upgradeState: SynapseUpgradeState {
    outputs.haproxy.map { SynapseUpgradeState(of: $0) } ?? SynapseUpgradeState()
  }

  /// Goes over to another configuration, by difference: watchers of unchanged services go on, the outputs
  /// change once the new services have snapshots. A service that can no longer be read stays as it was.
  func reload(_ configuration: SynapseConfiguration) {
    var configuration = configuration
    rejection = nil
    let known = Set(configuration.services.map(\.name))
    for skipped in configuration.skipped where !known.contains(skipped.name) {
      if let old = self.configuration.services.first(where: { $0.name == skipped.name }) {
        configuration.services.append(old)
        context.logger.warning("service kept as it was", with: [.service: old.name, .reason: skipped.error])
      }
    }
    context.logger.notice(
      "configuration reloaded", with: [.count: configuration.services.count, .path: configuration.file])
    prepare(configuration)
  }

  /// Notes that the file cannot be read, and that everything stays as it was.
  func reject(_ reason: String) { rejection = (reason, rejection?.since ?? context.clock.unixTime) }

  private func prepare(_ configuration: SynapseConfiguration) {
    report(configuration)
    if configuration.tls != self.configuration.tls {
      context.logger.warning("zk_tls changes with the next start", with: [.path: configuration.file])
    }
    next = configuration
    awaited = watches.watch(configuration.services)
    firstDataTimer?.cancel()
    firstDataTimer = context.clock.schedule(after: configuration.firstDataDeadline) { [weak self] in
      self?.deadlinePassed()
    }
    if awaited.isEmpty { commit() }
  }

  private func report(_ configuration: SynapseConfiguration) {
    for warning in configuration.warnings { context.logger.warning("configuration", with: [.reason: warning]) }
    for skipped in configuration.skipped {
      context.logger.error("service skipped", with: [.service: skipped.name, .reason: skipped.error])
    }
    let metrics = context.metrics
    metrics.gauge("synapse_services_skipped", help: "Services whose configuration cannot be run.").value =
      Double(configuration.skipped.count)
    metrics.gauge("synapse_services", help: "Services that are watched.").value = Double(configuration.services.count)
  }

  // MARK: Snapshots

  private func receive(_ snapshot: ServiceSnapshot, isNews: Bool) {
    if !snapshot.isPartial { remembered[snapshot.service] = nil }
    if awaited.remove(snapshot.service) != nil, awaited.isEmpty { commit() }
    if isNews || awaited.isEmpty { changed.insert(snapshot.service) }
    if isNews { scheduleUpdate() }
  }

  /// Everything that is queued on the loop now is received before the outputs are updated, once.
  private func scheduleUpdate() {
    if isUpdateScheduled || outputs.isEmpty { return }
    isUpdateScheduled = true
    Task { @LoopActor in self.updateOutputs() }
  }

  private func updateOutputs() {
    isUpdateScheduled = false
    let news = changed.sorted().compactMap { watches.snapshot(of: $0) }
    changed = []
    context.statsd?.increment("synapse.config.update")
    outputs.apply(news.map(completed))
  }

  /// A snapshot with the remembered servers, as long as some part of the registry has not answered: they may be its.
  private func completed(_ snapshot: ServiceSnapshot) -> ServiceSnapshot {
    guard snapshot.isPartial, let old = remembered[snapshot.service] else { return snapshot }
    let known = Set(snapshot.backends.map(\.serverName))
    var whole = snapshot
    whole.backends += old.filter { !known.contains($0.serverName) }
    return whole
  }

  // MARK: Looking

  /// Makes the server of the report, which shows nerve's beside it.
  func makeStatusServer(_ state: StateDirectory, metrics: Metrics, logger: Logger) -> StatusServer {
    let report: @LoopActor () async -> JSONValue = { [weak self] in
      guard let self else { return .null }
      let (seen, shortage) = (await haproxy?.statistics(), await haproxy?.descriptorShortage())
      return await status.json(seen: seen, shortage: shortage, now: LoopClock.system.unixTime)
    }
    return StatusServer(
      logger: logger, hostNames: configuration.statusHosts, report: report,
      metrics: { [weak self] in
        self?.status.publishServers(seen: await self?.haproxy?.statistics(), in: metrics)
        return metrics.render()
      },
      page: { exchange in
        StatusServer.showPage(
          of: { [await report()] + (await StatusServer.neighbour("nerve", of: state).map { [$0] } ?? []) }, to: exchange
        )
      })
  }

  var haproxy: HAProxyOutput? { outputs.haproxy }

  /// The agent as an operator sees it.
  var status: StatusReport {
    StatusReport(
      configurationFile: configuration.file,
      page: configuration.statusPort.map { "\(configuration.statusAddress):\($0)" }, rejection: rejection,
      services: configuration.services.map { service in
        ServiceStatus(
          configuration: service, snapshot: watches.snapshot(of: service.name),
          lastChange: watches.lastChange(of: service.name), remembered: remembered[service.name] ?? [])
      },
      skipped: configuration.skipped,
      haproxy: haproxy.map { output in (output.isCurrent, { @LoopActor in output.status }) })
  }

  // MARK: Configurations

  private func deadlinePassed() {
    guard next != nil, !awaited.isEmpty else { return }
    context.logger.warning(
      "services without data, remembered servers used",
      with: [.count: awaited.count, .service: awaited.sorted().prefix(5).joined(separator: ", ")])
    commit()
  }

  private func commit() {
    guard let next else { return }
    self.next = nil
    firstDataTimer?.cancel()
    let silent = awaited
    awaited = []
    configuration = next
    watches.forget(besides: Set(next.services.map(\.name)))
    switching = Task { @LoopActor [previous = switching] in
      await previous?.value
      await self.switchOutputs(silent: silent)
    }
  }

  private func switchOutputs(silent: Set<String>) async {
    let partial = configuration.services.map(\.name).filter { watches.snapshot(of: $0)?.isPartial == true }
    remembered = await outputs.change(to: configuration, silent: silent.union(partial))
    changed = []
    // A snapshot that has come meanwhile replaces what is remembered.
    let known = configuration.services.compactMap { watches.snapshot(of: $0.name) }
    let silentOnes = remembered.keys.sorted().filter { watches.snapshot(of: $0) == nil }
    outputs.apply(
      known.map(completed) + silentOnes.map { ServiceSnapshot(service: $0, backends: remembered[$0] ?? []) })
    if let startedAt { context.statsd?.timing("synapse.watchers.start.time", elapsed: context.clock.now - startedAt) }
    startedAt = nil
    onReady?()
    onReady = nil
  }
}
