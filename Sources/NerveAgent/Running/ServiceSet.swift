internal import Hacheck
internal import Reactor
internal import Registry
internal import SmartStack

/// All services of the agent: started, reloaded by difference, and stopped.
@LoopActor final class ServiceSet {
  /// What the checks of a service have seen already when it starts with the agent; nil: nothing.
  var remembered: @LoopActor (ServiceConfiguration) -> [CheckHistory.Memory]? = { _ in nil }
  /// Called once, when every service of the first configuration knows its verdict.
  var onAllReported: @LoopActor () -> Void = {}

  private let telemetry: NerveTelemetry
  private let schedule: CheckSchedule
  private let clock: LoopClock
  private let makeProbes: @LoopActor (ServiceConfiguration) -> [any Probe]
  private let makeRegistrar: @LoopActor (ServiceConfiguration) -> Registrar
  private let drains: DrainTracker
  private(set) var runners: [String: ServiceRunner] = [:]
  /// Registrars that stay until their replacement's record is there.
  private var leaving: [String: [Registrar]] = [:]
  private var unreported: Set<String> = []
  private var isFirst = true

  init(
    probes: @escaping @LoopActor (ServiceConfiguration) -> [any Probe],
    registrar: @escaping @LoopActor (ServiceConfiguration) -> Registrar, drains: DrainTracker,
    telemetry: NerveTelemetry, clock: LoopClock
  ) {
    makeProbes = probes
    makeRegistrar = registrar
    self.telemetry = telemetry
    self.clock = clock
    schedule = CheckSchedule(clock: clock)
    self.drains = drains
  }

  var running: [String: ServiceConfiguration] { runners.mapValues(\.configuration) }

  // MARK: Reload

  /// Makes the services those of `configuration`.
  /// - Returns: what was done.
  @discardableResult
  func apply(_ configuration: NerveConfiguration) -> ReloadPlan {
    let plan = ReloadPlan(running: running, wanted: configuration.services, bad: configuration.badServices)
    schedule.serviceCount = configuration.services.count
    for name in plan.removed { remove(name) }
    for service in plan.changed { replace(by: service) }
    for (index, service) in plan.added.enumerated() {
      telemetry.launched(service, isNew: true)
      start(service, registrar: makeRegistrar(service), after: CheckSchedule.startDelay(index: index))
    }
    if isFirst {
      isFirst = false
      unreported = Set(runners.filter { !$0.value.knowsVerdict }.keys)
      reportedByAll()
    }
    return plan
  }

  private func start(_ service: ServiceConfiguration, registrar: Registrar, after delay: Duration) {
    let probes = makeProbes(service)
    let runner = ServiceRunner(
      service, probes: probes, registrar: registrar, schedule: schedule, telemetry: telemetry, clock: clock)
    if isFirst {
      unreported.insert(service.name)
      if !service.isMocked, let memories = remembered(service) { runner.memories = memories }
    }
    runners[service.name] = runner
    runner.onVerdict = { [weak self] in self?.knowsVerdict(service.name) }
    registrar.onChange = { [weak self] state in if state.isSettled { self?.closeLeaving(service.name) } }
    drains.follow(runner, probes: probes)
    runner.start(after: delay)
  }

  /// Replaces a service's checks. The new ones take over the running registration if it is the same; otherwise the old
  /// one stays until the new one has reported.
  private func replace(by service: ServiceConfiguration) {
    let name = service.name
    guard let old = runners[name] else { return }
    stop(old)
    telemetry.launched(service, isNew: false)
    if old.configuration.registry == service.registry {
      start(service, registrar: old.registrar, after: .zero)
    } else {
      old.registrar.onChange = nil
      leaving[name, default: []].append(old.registrar)
      let registrar = makeRegistrar(service)
      start(service, registrar: registrar, after: .zero)
      // Its first check may have answered on the spot.
      if registrar.state.isSettled { closeLeaving(name) }
    }
  }

  private func remove(_ name: String) {
    guard let runner = runners.removeValue(forKey: name) else { return }
    stop(runner)
    telemetry.removed(name)
    close(runner.registrar)
    closeLeaving(name)
    knowsVerdict(name)
  }

  private func stop(_ runner: ServiceRunner) {
    runner.stop()
    drains.forget(runner)
  }

  // MARK: Reports

  private func closeLeaving(_ name: String) {
    for old in leaving.removeValue(forKey: name) ?? [] {
      telemetry.replaced(name)
      close(old)
    }
  }

  private func close(_ registrar: Registrar) {
    registrar.onChange = nil
    Task.immediate { @LoopActor in await registrar.close() }
  }

  private func knowsVerdict(_ name: String) {
    guard unreported.remove(name) != nil else { return }
    reportedByAll()
  }

  private func reportedByAll() {
    guard unreported.isEmpty, !isFirst else { return }
    let body = onAllReported
    onAllReported = {}
    body()
  }

  // MARK: Stop

  /// Ends all checks; the registrations stay.
  func leave() { _ = endChecks() }

  /// Ends all checks, and takes back what would outlive the sessions; returns when that is done or
  /// `limit` has passed. The sessions' end does the rest.
  func stop(within limit: Duration) async {
    let lasting = endChecks().filter { !$0.target.goesWithSession }
    guard !lasting.isEmpty else { return }
    let withdrawals = lasting.map { registrar in Task.immediate { @LoopActor in await registrar.withdraw() } }
    _ = try? await withDeadline(after: limit, clock: clock) {
      for withdrawal in withdrawals { await withdrawal.value }
    }
  }

  /// Stops every runner.
  /// - Returns: their registrars, and those that were still leaving.
  private func endChecks() -> [Registrar] {
    for runner in runners.values { stop(runner) }
    let registrars = runners.values.map(\.registrar) + leaving.values.joined()
    for registrar in registrars { registrar.onChange = nil }
    (runners, leaving) = ([:], [:])
    return registrars
  }
}
