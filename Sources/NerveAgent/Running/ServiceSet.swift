internal import Logging
internal import Reactor
internal import SmartStack

/// All services of the agent: started, reloaded by difference, and stopped.
@LoopActor final class ServiceSet {
  /// Makes what a service needs; replaced in tests.
  struct Factory {
    var checks: @LoopActor (ServiceConfiguration) -> [any HealthCheck]
    var reporter: @LoopActor (ServiceConfiguration) -> any Reporter
    /// The reporter is closed for good.
    var ended: @LoopActor (ServiceConfiguration) async -> Void
  }

  /// What the checks of a service have seen already when it starts with the agent; nil: nothing.
  var remembered: @LoopActor (ServiceConfiguration) -> [CheckHistory.Memory]? = { _ in nil }
  /// Called once, when every service of the first configuration knows its verdict.
  var onAllReported: @LoopActor () -> Void = {}

  private let environment: RunnerEnvironment
  private let factory: Factory
  private let drains: DrainBoard
  private var members: [String: Member] = [:]
  private var leaving: [String: [Leaving]] = [:]
  private var unreported: Set<String> = []
  private var isFirst = true

  private struct Member {
    let runner: ServiceRunner
    /// The configuration that the reporter was made for; the runner's own may be newer.
    let reporterConfiguration: ServiceConfiguration
  }

  /// A reporter that stays until its replacement has reported.
  private struct Leaving {
    let configuration: ServiceConfiguration
    let reporter: any Reporter
  }

  init(environment: RunnerEnvironment, factory: Factory, drains: DrainBoard) {
    self.environment = environment
    self.factory = factory
    self.drains = drains
  }

  /// What runs, by name.
  var running: [String: ServiceConfiguration] { members.mapValues(\.runner.configuration) }
  /// The runners, by name.
  var runners: [String: ServiceRunner] { members.mapValues(\.runner) }

  // MARK: Reload

  /// Makes the services those of `configuration`.
  /// - Returns: what was done.
  @discardableResult
  func apply(_ configuration: NerveConfiguration) -> ReloadPlan {
    let plan = ReloadPlan(running: running, wanted: configuration.services, bad: configuration.badServices)
    environment.serviceCount = configuration.services.count
    for name in plan.removed { remove(name) }
    for change in plan.changed { replace(change) }
    for (index, service) in plan.added.enumerated() {
      environment.original.launched(service.name, reason: "new")
      start(service, reporter: factory.reporter(service), madeFor: service, after: Schedule.startDelay(index: index))
    }
    if isFirst {
      isFirst = false
      unreported = Set(members.filter { $0.value.runner.verdict == nil }.keys)
      reportedByAll()
    }
    return plan
  }

  private func start(
    _ service: ServiceConfiguration, reporter: any Reporter, madeFor: ServiceConfiguration, after delay: Duration
  ) {
    let checks = factory.checks(service)
    let runner = ServiceRunner(service, checks: checks, reporter: reporter, environment: environment)
    if isFirst {
      unreported.insert(service.name)
      if !service.isMocked, let memories = remembered(service) { runner.memories = memories }
    }
    members[service.name] = Member(runner: runner, reporterConfiguration: madeFor)
    runner.onVerdict = { [weak self] in self?.knowsVerdict(service.name) }
    reporter.onChange = { [weak self] state in self?.reporterChanged(service.name, state) }
    drains.follow(runner, checks: checks)
    runner.start(after: delay)
  }

  private func replace(_ change: ReloadPlan.Change) {
    let name = change.service.name
    guard let old = members[name] else { return }
    stop(old.runner)
    environment.logger.notice("service changed", [.service: name])
    environment.original.launched(name, reason: "update")
    if change.keepsRegistration {
      start(change.service, reporter: old.runner.reporter, madeFor: old.reporterConfiguration, after: .zero)
    } else {
      old.runner.reporter.onChange = nil
      leaving[name, default: []].append(
        Leaving(configuration: old.reporterConfiguration, reporter: old.runner.reporter))
      start(change.service, reporter: factory.reporter(change.service), madeFor: change.service, after: .zero)
      // Its first check may have answered on the spot.
      if let state = members[name]?.runner.reporter.state { reporterChanged(name, state) }
    }
  }

  private func remove(_ name: String) {
    guard let member = members.removeValue(forKey: name) else { return }
    stop(member.runner)
    environment.logger.notice("service removed", [.service: name])
    environment.original.reaped(name, reason: "old")
    member.runner.reporter.onChange = nil
    close(Leaving(configuration: member.reporterConfiguration, reporter: member.runner.reporter))
    closeLeaving(name)
    knowsVerdict(name)
  }

  private func stop(_ runner: ServiceRunner) {
    runner.stop()
    drains.forget(runner)
  }

  // MARK: Reports

  private func reporterChanged(_ name: String, _ state: ReporterState) {
    if state.isSettled { closeLeaving(name) }
  }

  private func closeLeaving(_ name: String) {
    for old in leaving.removeValue(forKey: name) ?? [] {
      environment.original.reaped(name, reason: "update")
      close(old)
    }
  }

  private func close(_ old: Leaving) {
    let factory = factory
    Task.immediate { @LoopActor in
      await old.reporter.close()
      await factory.ended(old.configuration)
    }
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
  func leave() {
    for member in members.values {
      stop(member.runner)
      member.runner.reporter.onChange = nil
    }
    members = [:]
    leaving = [:]
  }

  /// Ends all checks, and takes back what would outlive the sessions; returns when that is done or
  /// `limit` has passed. The sessions' end does the rest.
  func stop(within limit: Duration) async {
    for member in members.values { stop(member.runner) }
    let all = members.values.map {
      Leaving(configuration: $0.reporterConfiguration, reporter: $0.runner.reporter)
    }
    let lasting = (all + leaving.values.joined()).filter {
      $0.reporter.onChange = nil
      return !$0.configuration.registry.goesWithSession
    }
    members = [:]
    leaving = [:]
    guard !lasting.isEmpty else { return }
    let closings = lasting.map { old in Task.immediate { @LoopActor in await old.reporter.close() } }
    _ = try? await withDeadline(after: limit, clock: environment.clock) {
      for closing in closings { await closing.value }
    }
  }
}
