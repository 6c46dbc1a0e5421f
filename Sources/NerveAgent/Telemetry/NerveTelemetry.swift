internal import AgentKit
internal import Logging
internal import Reactor
internal import Registry
internal import SmartStack

/// The agent's log lines, metrics and upstream's datagrams: each thing that happens is reported once, here.
@LoopActor final class NerveTelemetry {
  private let logger: Logger
  let metrics: NerveMetrics
  /// Upstream's metrics; changes with the configuration.
  var statsD = UpstreamStatsD()

  init(logger: Logger, metrics: Metrics) {
    self.logger = logger
    self.metrics = NerveMetrics(metrics)
  }

  // MARK: Services

  func launched(_ service: ServiceConfiguration, isNew: Bool) {
    if !isNew { logger.notice("service changed", with: [.service: service.name]) }
    statsD.launched(service.name, reason: isNew ? "new" : "update")
  }

  func removed(_ name: String) {
    logger.notice("service removed", with: [.service: name])
    statsD.reaped(name, reason: "old")
  }

  func replaced(_ name: String) { statsD.reaped(name, reason: "update") }

  func watching(_ service: ServiceConfiguration) { statsD.watching(service.name) }

  func stoppedWatching(_ service: ServiceConfiguration) { statsD.stoppedWatching(service.name) }

  func drained(_ service: ServiceConfiguration, isDrained: Bool, reason: String) {
    if isDrained {
      logger.notice("service is drained", with: [.service: service.name, .reason: reason])
    } else {
      logger.notice("service is no longer drained", with: [.service: service.name])
    }
  }

  // MARK: Checks

  func late(by lateness: Duration) { metrics.lateness.observe(lateness) }

  func pinged(_ service: ServiceConfiguration, isReachable: Bool) { statsD.pinged(service.name, success: isReachable) }

  /// - Parameter changed: the check's own verdict, if this result changed it.
  func checked(_ service: ServiceConfiguration, by check: String, result: CheckResult, changed: Verdict?) {
    metrics.count(result)
    statsD.checked(service.name, by: check, passed: result.passed)
    guard let changed else { return }
    let values: KeyValuePairs<LogKey, any CustomStringConvertible> = [
      .service: service.name, .check: check, .verdict: changed, .reason: result.detail, .elapsed: result.elapsed,
    ]
    logger.log(at: service.checks.count > 1 ? .notice : .debug, "check changed", with: values)
  }

  func decided(_ decision: ServiceVerdict.Decision, on service: ServiceConfiguration, because reason: String) {
    switch decision {
    case .nothing: return
    case .report(let verdict, let isFirst): changed(service, to: verdict, isFirst: isFirst, because: reason)
    case .overLimit(let verdict, let isFirst, let isShadow, let isRepeated):
      statsD.throttled(service.name, isShadow: isShadow)
      metrics.throttled.increment()
      if isShadow {
        logger.warning("report above its rate limit, let through", with: [.service: service.name, .verdict: verdict])
        changed(service, to: verdict, isFirst: isFirst, because: reason)
      } else if !isRepeated {
        logger.warning("report held back by its rate limit", with: [.service: service.name, .verdict: verdict])
      }
    }
  }

  private func changed(
    _ service: ServiceConfiguration, to verdict: Verdict, isFirst: Bool, because reason: String
  ) {
    let words: Logger.Message = verdict == .up ? "service is up" : "service is down"
    logger.log(at: isFirst && verdict == .up ? .info : .notice, words, with: [.service: service.name, .reason: reason])
    statsD.transition(service.name, to: verdict)
    metrics.transitions.increment()
  }

  // MARK: Registrations

  func registrationChanged(_ event: RegistrationEvent, of service: ServiceConfiguration) {
    let name = service.name
    var znode: ZooKeeperTarget?
    if case .zooKeeper(let target) = service.registry { znode = target }
    let place: LogKey = znode == nil ? .path : .znode
    switch event {
    case .opened(let isNewConnection):
      guard let znode else { return }
      statsD.clientTaken(of: znode, isNew: isNewConnection)
      if let bytes = znode.encodedBytes { statsD.encoded(znode, bytes: bytes) }
    case .registered(let path, let elapsed):
      logger.notice("registered", with: [.service: name, place: path, .elapsed: elapsed])
      metrics.registrations.increment()
      statsD.reported(name, success: true)
      if let znode { statsD.created(znode, elapsed: elapsed) }
    case .lost(let path): logger.notice("registration lost", with: [.service: name, place: path])
    case .refused(let path, let reason):
      logger.error("registration refused", with: [.service: name, place: path, .reason: reason])
      metrics.reportFailures.increment()
      statsD.reported(name, success: false)
    case .deregistered(let path, let elapsed, let isHandedOver):
      logger.notice(
        isHandedOver ? "registration handed over" : "deregistered",
        with: [.service: name, place: path, .elapsed: elapsed])
      metrics.deregistrations.increment()
      statsD.reported(name, success: true)
      if let znode { statsD.deleted(znode, elapsed: elapsed) }
    case .renewed(let isReachable):
      if let znode { statsD.renewed(znode, success: isReachable) }
    }
  }

  // MARK: Configurations

  func loaded(_ configuration: NerveConfiguration, from path: String, plan: AgentReloadPlan) {
    for warning in configuration.warnings { logger.warning("configuration", with: [.reason: warning]) }
    for problem in configuration.problems { logger.error("service skipped", with: [.reason: problem]) }
    metrics.skipped.value = Double(configuration.problems.count)
    if plan.waitsForRestart {
      logger.warning("hacheck, state_dir and zk_auth change with the next start", with: [.path: path])
    }
    statsD.receiver = configuration.statsD.map { StatsD(host: $0.host, port: $0.port) }
    statsD.configurationLoaded()
  }

  func applied(_ configuration: NerveConfiguration, from path: String, plan: ReloadPlan) {
    logger.notice("configuration applied", with: [.path: path, .count: configuration.services.count])
    let counts = "\(plan.added.count) new, \(plan.changed.count) changed, \(plan.removed.count) removed"
    logger.debug("services", with: [.reason: counts])
  }

  func reloaded(rejection: (any Error)?) {
    metrics.reloaded(rejection == nil)
    if let rejection {
      logger.error("configuration rejected, the previous one stays active", with: [.reason: "\(rejection)"])
    }
  }
}
