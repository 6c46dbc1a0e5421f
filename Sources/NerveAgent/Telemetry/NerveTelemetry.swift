internal import AgentKit
internal import Hacheck
internal import Logging
internal import Reactor
internal import Registry
internal import SmartStack
internal import ZooKeeper

/// The agent's log lines, metrics and upstream's datagrams: each thing that happens is reported once, here.
///
/// Names and tags of the datagrams are upstream's. Dashboards are built on them: they are a contract. Metrics of
/// machinery that no longer exists (threads that die, a main loop that takes time) are not sent.
@LoopActor final class NerveTelemetry {
  private let logger: Logger
  let metrics: NerveMetrics
  /// Receives upstream's metrics, if the configuration has `statsd`.
  private var statsD: StatsD?
  private var lastShortage: LoopClock.Instant?
  /// A shortage meets many checks: one warning in this time.
  private static let shortageInterval = Duration.seconds(60)

  init(logger: Logger, metrics: Metrics) {
    self.logger = logger
    self.metrics = NerveMetrics(metrics)
  }

  func started() { statsD?.increment("nerve.start") }

  func stopped() {
    statsD?.increment("nerve.stop", tags: ["stop_avenue:clean", "stop_location:main_loop"])
    logger.notice("stopped", with: [:])
  }

  // MARK: Services

  func launched(_ service: ServiceConfiguration, isNew: Bool) {
    if !isNew { logger.notice("service changed", with: [.service: service.name]) }
    statsD?.increment(
      "nerve.watcher.launch", tags: ["launch_reason:\(isNew ? "new" : "update")", "watcher_name:\(service.name)"])
  }

  func removed(_ name: String) {
    logger.notice("service removed", with: [.service: name])
    statsD?.increment("nerve.watcher.reap", tags: ["reap_reason:old", "watcher_name:\(name)"])
  }

  func replaced(_ name: String) {
    statsD?.increment("nerve.watcher.reap", tags: ["reap_reason:update", "watcher_name:\(name)"])
  }

  func watching(_ service: ServiceConfiguration) {
    statsD?.increment("nerve.watcher.start", tags: ["service_name:\(service.name)"])
  }

  func stoppedWatching(_ service: ServiceConfiguration) {
    statsD?.increment(
      "nerve.watcher.stop", tags: ["stop_avenue:clean", "stop_location:main_loop", "service_name:\(service.name)"])
  }

  /// hacheck logs a downtime itself, once for all services that it covers.
  /// - Parameter isFromBefore: whether the downtime was there before the service, and is not logged.
  func drained(_ service: ServiceConfiguration, by downtime: Downtime?, isFromBefore: Bool) {
    if let downtime {
      logger.log(
        at: isFromBefore ? .notice : .debug, "service is drained",
        with: [
          .service: service.name, .scope: downtime.scope, .reason: downtime.reason, .by: downtime.setter ?? "unknown",
        ])
    } else {
      logger.debug("service is no longer drained", with: [.service: service.name])
    }
  }

  // MARK: Checks

  func late(by lateness: Duration) { metrics.lateness.observe(lateness) }

  func pinged(_ service: ServiceConfiguration, isReachable: Bool) {
    statsD?.increment(
      "nerve.watcher.status.ping.count",
      tags: [
        "ping_result:\(isReachable ? "success" : "fail")", "service_name:\(service.name)",
        "nerve_version:\(Release.version)",
      ])
  }

  /// - Parameter changed: the check's own verdict, if this result changed it.
  func checked(_ service: ServiceConfiguration, by check: String, result: CheckResult, changed: Verdict?) {
    metrics.count(result)
    statsD?.increment(
      "nerve.watcher.status.service_check",
      tags: [
        "check_result:\(result.passed ? "up" : "down")", "service_name:\(service.name)", "check_name:\(check)",
      ])
    guard let changed else { return }
    let values: KeyValuePairs<LogKey, any CustomStringConvertible> = [
      .service: service.name, .check: check, .verdict: changed, .reason: result.detail, .elapsed: result.elapsed,
    ]
    logger.log(at: service.checks.count > 1 ? .notice : .debug, "check changed", with: values)
  }

  /// A service that is up by its checks, but refuses connections at the address that clients will use.
  func notReachable(_ service: ServiceConfiguration, at endpoint: Endpoint) {
    logger.warning(
      "service not reachable at its address",
      with: [.service: service.name, .reason: "\(endpoint): does it listen on loopback only?"])
  }

  /// A check that this host could not make.
  func notMade(_ service: ServiceConfiguration, check: String, because reason: String, at now: LoopClock.Instant) {
    metrics.notMade.increment()
    if let lastShortage, now - lastShortage < NerveTelemetry.shortageInterval { return }
    lastShortage = now
    logger.warning(
      "checks not made, verdicts stay",
      with: [.service: service.name, .check: check, .count: Int(metrics.notMade.value), .reason: reason])
  }

  /// A check that has not ended long after its deadline.
  func overdue(_ service: ServiceConfiguration, check: String, elapsed: Duration) {
    logger.error("check does not end", with: [.service: service.name, .check: check, .elapsed: elapsed])
  }

  /// - Parameter isDrained: whether a downtime decides, which is in the log already.
  func decided(
    _ decision: ServiceVerdict.Decision, on service: ServiceConfiguration, because reason: String, isDrained: Bool
  ) {
    switch decision {
    case .nothing: return
    case .report(let verdict, let isFirst):
      changed(service, to: verdict, isFirst: isFirst, isDrained: isDrained, because: reason)
    case .overLimit(let verdict, let isFirst, let isShadow, let isRepeated):
      statsD?.increment(
        "nerve.watcher.throttled", tags: ["service_name:\(service.name)", "shadow_mode:\(isShadow)"])
      metrics.throttled.increment()
      if isShadow {
        logger.warning("report above its rate limit, let through", with: [.service: service.name, .verdict: verdict])
        changed(service, to: verdict, isFirst: isFirst, isDrained: isDrained, because: reason)
      } else if !isRepeated {
        logger.warning("report held back by its rate limit", with: [.service: service.name, .verdict: verdict])
      }
    }
  }

  private func changed(
    _ service: ServiceConfiguration, to verdict: Verdict, isFirst: Bool, isDrained: Bool, because reason: String
  ) {
    let words: Logger.Message = verdict == .up ? "service is up" : "service is down"
    logger.log(
      at: isDrained ? .debug : isFirst && verdict == .up ? .info : .notice, words,
      with: [.service: service.name, .reason: reason])
    statsD?.increment(
      "nerve.watcher.status.transition", tags: ["new_status:\(verdict)", "service_name:\(service.name)"])
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
      statsD?.increment(
        isNewConnection ? "nerve.reporter.zk.client.created" : "nerve.reporter.zk.client.reused",
        tags: ["zk_cluster:\(znode.ensemble.cluster)"])
      // The length of a payload that is to become part of the node's name.
      if let bytes = znode.encodedBytes {
        statsD?.gauge("nerve.reporter.zk.child.bytes", value: Double(bytes), tags: NerveTelemetry.place(of: znode))
      }
    case .registered(let path, let elapsed):
      logger.notice("registered", with: [.service: name, place: path, .elapsed: elapsed])
      metrics.registrations.increment()
      reported(name, result: "success")
      if let znode {
        statsD?.timing(
          "nerve.reporter.zk.create.elapsed_time", elapsed: elapsed, tags: NerveTelemetry.place(of: znode))
      }
    case .lost(let path): logger.notice("registration lost", with: [.service: name, place: path])
    case .refused(let path, let reason):
      logger.error("registration refused", with: [.service: name, place: path, .reason: reason])
      metrics.reportFailures.increment()
      reported(name, result: "fail")
    case .deregistered(let path, let elapsed, let isHandedOver):
      logger.notice(
        isHandedOver ? "registration handed over" : "deregistered",
        with: [.service: name, place: path, .elapsed: elapsed])
      metrics.deregistrations.increment()
      reported(name, result: "success")
      if let znode {
        statsD?.timing(
          "nerve.reporter.zk.delete.elapsed_time", elapsed: elapsed, tags: ["zk_cluster:\(znode.ensemble.cluster)"])
      }
    case .renewed(let isReachable):
      guard let znode else { return }
      let result = isReachable ? ["result:success"] : ["result:fail", "reason:connection_error"]
      statsD?.increment("nerve.reporter.zk.ttl.renew", tags: ["zk_cluster:\(znode.ensemble.cluster)"] + result)
    }
  }

  private func reported(_ name: String, result: String) {
    statsD?.increment("nerve.watcher.status.report.count", tags: ["report_result:\(result)", "service_name:\(name)"])
  }

  private static func place(of znode: ZooKeeperTarget) -> [String] {
    ["zk_cluster:\(znode.ensemble.cluster)", "zk_path:\(znode.directory)"]
  }

  // MARK: Configurations

  func loaded(_ configuration: NerveConfiguration, from path: String, waitsForRestart: Bool) {
    for warning in configuration.warnings { logger.warning("configuration", with: [.reason: warning]) }
    for problem in configuration.problems { logger.error("service skipped", with: [.reason: problem]) }
    metrics.skipped.value = Double(configuration.problems.count)
    if waitsForRestart {
      logger.warning(
        "hacheck, state_dir, status_port, zk_auth and zk_tls change with the next start", with: [.path: path])
    }
    statsD = configuration.statsD.map { StatsD(host: $0.host, port: $0.port) }
    statsD?.increment("nerve.config.update")
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
