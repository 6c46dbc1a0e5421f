internal import AgentKit
internal import Hacheck
internal import Reactor
internal import Registry
internal import SmartStack
internal import ZooKeeper

/// Everything that serves the services of a running agent: hacheck, the registries, and the services with their checks.
@LoopActor final class ServiceHost {
  /// How long a stop waits for registrations that outlive a session.
  private static let stopLimit = Duration.seconds(2)
  /// How long requests to hacheck that are under way may take in an in-place upgrade.
  private static let retireLimit = Duration.seconds(1)
  /// How long after the first reports memory is given back that only the start needed.
  private static let trimDelay = Duration.seconds(5)

  /// This program's environment, without what its service manager addresses to it alone.
  private static let commandEnvironment = ProcessEnvironment.current.filter {
    !["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"].contains($0.key)
  }

  let hacheck: EmbeddedHacheck?
  let publisher: RegistrationPublisher
  let services: ServiceSet
  private let clock: LoopClock
  private let telemetry: NerveTelemetry
  private let commandSlots: AsyncSemaphore
  private var progress: RegistrationProgress
  private var stopObservingSpool: (@LoopActor () -> Void)?

  /// - Parameter remembered: results that the checks of a service had seen in the program before this one.
  init(
    hacheck: EmbeddedHacheck?, drains: DrainTracker, publisher: RegistrationPublisher, telemetry: NerveTelemetry,
    clock: LoopClock, remembered: @escaping @LoopActor (ServiceConfiguration) -> [CheckHistory.Memory]?
  ) {
    self.hacheck = hacheck
    self.publisher = publisher
    self.telemetry = telemetry
    self.clock = clock
    progress = RegistrationProgress(now: clock.now)
    let slots = AsyncSemaphore(limit: NerveConfiguration.defaultCommandLimit)
    commandSlots = slots
    let context = ProbeContext(clock: clock, commands: slots, environment: ServiceHost.commandEnvironment)
    services = ServiceSet(
      probes: { service in
        service.checks.map { hacheck?.probe(for: $0.settings) ?? $0.settings.probe(in: context) }
      },
      registrar: { service in
        publisher.publish(service.registry) { telemetry.registrationChanged($0, of: service) }
      },
      drains: drains, telemetry: telemetry, clock: clock)
    services.remembered = remembered
    services.onAllReported = { [weak self] in self?.allReported() }
    stopObservingSpool = hacheck?.service.onSpoolChange { scopes in drains.spoolChanged(scopes) }
    hacheck?.start()
  }

  /// Why this nerve does nothing any more; nil: it does. A file waits for its disk, which a restart does not mend.
  func stall() -> String? {
    let waiting = services.runners.values.map(\.registrar).count {
      if case .file = $0.target { return false }
      guard case .pending = $0.state else { return false }
      return $0.isReachable
    }
    let metrics = telemetry.metrics
    let answers = [metrics.registrations, metrics.deregistrations, metrics.reportFailures].map(\.value).reduce(0, +)
    return progress.stall(waiting: waiting, answers: Int(answers), now: clock.now)
  }

  private func allReported() {
    publisher.dropLeftovers(of: services.running.values.map(\.registry))
    clock.schedule(after: ServiceHost.trimDelay) { ThisProcess.trimHeap() }
  }

  /// Makes the services those of `configuration`.
  /// - Returns: what was done.
  func apply(_ configuration: NerveConfiguration) -> ReloadPlan {
    commandSlots.limit = configuration.commandLimit
    return services.apply(configuration)
  }

  // MARK: End

  /// Ends all checks and the work with the registries.
  /// - Parameter keepsRegistrations: whether every registration stays where it is; else all are withdrawn.
  func end(keepsRegistrations: Bool) async {
    if keepsRegistrations { services.leave() } else { await services.stop(within: ServiceHost.stopLimit) }
    await publisher.end(keepsRegistrations: keepsRegistrations)
  }

  func stopHacheck() {
    stopObservingSpool?()
    hacheck?.stop()
  }

  /// Answers no new requests to hacheck; returns when those under way are answered.
  func retireHacheck() async { await hacheck?.service.retire(within: ServiceHost.retireLimit) }

  /// What the next program in this process needs.
  var upgradeState: NerveUpgradeState {
    var upgrade = NerveUpgradeState(sessions: publisher.handover)
    for runner in services.runners.values { upgrade.remember(runner) }
    if let hacheck, hacheck.isListening { upgrade.listeners = hacheck.listeners }
    return upgrade
  }
}
