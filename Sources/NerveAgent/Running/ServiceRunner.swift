internal import Logging
internal import Reactor
internal import SmartStack

/// One service: its checks on their schedule, the verdict, and the reporter that publishes it.
///
/// Every probe is its own task and never overlaps the check's previous one. A verdict is acted upon as
/// soon as one check changes it; nothing waits for a slower check.
@LoopActor final class ServiceRunner {
  /// What the service is.
  let configuration: ServiceConfiguration
  /// Publishes the verdict; may be taken over from the service's previous configuration.
  let reporter: any Reporter
  /// The verdict last given to the reporter (or held back by the rate limit, if that is enforced).
  private(set) var reported: Verdict?
  /// When ``reported`` became what it is, in seconds since 1970.
  private(set) var since: Double?
  /// Called once, when the service knows its first verdict, reported or held back.
  var onVerdict: @LoopActor () -> Void = {}
  /// The last result of each check.
  private(set) var lastResults: [CheckResult?]

  private let checks: [any HealthCheck]
  private let environment: RunnerEnvironment
  private let logger: Logger
  private var board: VerdictBoard
  private var running: [Bool]
  private var limiter: RateLimiter?
  private var ticker: Ticker?
  private var starting: LoopTimer?
  /// Counts the moments at which earlier probes stopped to count: their late results are dropped.
  private var era = 0
  private var isStopped = false
  private var isJudged = false
  private var isHeldBack = false

  /// - Parameters:
  ///   - checks: one per entry of the configuration's `checks`, in its order.
  ///   - reporter: not closed by the runner.
  init(
    _ configuration: ServiceConfiguration, checks: [any HealthCheck], reporter: any Reporter,
    environment: RunnerEnvironment
  ) {
    self.configuration = configuration
    self.checks = configuration.isMocked ? [] : checks
    self.reporter = reporter
    self.environment = environment
    logger = environment.logger
    board = VerdictBoard(
      histories: self.checks.indices.map { index in
        CheckHistory(rise: configuration.checks[index].rise, fall: configuration.checks[index].fall)
      })
    running = Array(repeating: false, count: self.checks.count)
    lastResults = Array(repeating: nil, count: self.checks.count)
    limiter = configuration.rateLimit.flatMap { limit in
      guard limit.averageRate.isFinite else { return nil }
      // As in the original, the bucket starts with one second's worth.
      return RateLimiter(
        averageRate: limit.averageRate, maxBurst: limit.maxBurst, initialTokens: limit.averageRate,
        now: environment.clock.now)
    }
  }

  /// What the checks have seen, in their order; may be set before the start to what they had seen before this
  /// program replaced another one.
  var memories: [CheckHistory.Memory] {
    get { board.memories }
    set { board.memories = newValue }
  }

  /// What the checks and the operator say now; nil before all have answered.
  var verdict: Verdict? { board.verdict }
  /// Whether an operator's mark holds the service down.
  var isDrained: Bool { board.isDrained }

  /// Starts the first checks after `delay`, the periodic ones on the service's own schedule.
  func start(after delay: Duration = .zero) {
    environment.original.watching(configuration.name)
    // Known from before: registrations are claimed before anybody looks for unclaimed ones.
    if board.verdict != nil { settle(reason: "as before") }
    guard delay > .zero else { return begin() }
    starting = environment.clock.schedule(after: delay) { [weak self] in self?.begin() }
  }

  /// Ends the checks; the reporter stays as it is.
  func stop() {
    guard !isStopped else { return }
    isStopped = true
    era += 1
    starting?.cancel()
    ticker?.cancel()
    ticker = nil
    environment.original.stoppedWatching(configuration.name)
  }

  /// An operator's mark appeared or went. Down takes effect now; up after one good check, made now.
  /// - Parameter marked: the checks (by index) whose answer the mark decides, for an undrain.
  func setDrained(_ drained: Bool, reason: String, deciding marked: [Int]) {
    guard drained != board.isDrained, !isStopped else { return }
    board.isDrained = drained
    if drained {
      logger.notice("service is drained", [.service: configuration.name, .reason: reason])
      settle(reason: reason)
      return
    }
    logger.notice("service is no longer drained", [.service: configuration.name])
    era += 1
    running = Array(repeating: false, count: checks.count)
    for index in marked {
      let check = configuration.checks[index]
      board.forget(check: index, rise: check.rise, fall: check.fall)
    }
    probeAll()
  }

  // MARK: Checks

  private func begin() {
    guard !isStopped else { return }
    starting = nil
    let interval = configuration.interval
    ticker = Ticker(
      every: interval, from: environment.firstTick(of: configuration.name, every: interval), clock: environment.clock
    ) { [weak self] lateness in
      self?.environment.meters.lateness.observe(lateness)
      self?.probeAll()
    }
    probeAll()
  }

  private func probeAll() {
    environment.original.pinged(configuration.name, success: reporter.isReachable)
    for index in checks.indices where !running[index] { probe(index) }
    settle(reason: "")
  }

  private func probe(_ index: Int) {
    running[index] = true
    let (check, era) = (checks[index], era)
    let deadline = configuration.checks[index].deadline
    Task.immediate { @LoopActor [weak self] in
      let result = await check.probe(deadline: deadline)
      self?.finish(index, result, era: era)
    }
  }

  private func finish(_ index: Int, _ result: CheckResult, era: Int) {
    guard era == self.era, !isStopped else { return }
    running[index] = false
    lastResults[index] = result
    environment.meters.count(result)
    environment.original.checked(configuration.name, check: checks[index].name, passed: result.passed)
    if let verdict = board.record(check: index, passed: result.passed) {
      let values: KeyValuePairs<LogKey, any CustomStringConvertible> = [
        .service: configuration.name, .check: checks[index].name, .verdict: verdict, .reason: result.detail,
        .elapsed: result.elapsed,
      ]
      logger.log(checks.count > 1 ? .notice : .debug, "check changed", values)
    }
    settle(reason: result.detail)
  }

  // MARK: The verdict

  /// Reports the verdict if it is news and the rate limit lets it through; else the next result tries again.
  private func settle(reason: String) {
    guard let verdict = board.verdict else { return }
    if !isJudged {
      isJudged = true
      onVerdict()
    }
    guard verdict != reported else { return }
    // An operator's word is not held back: the limit is there against flapping.
    if !board.isDrained, !isAllowed(verdict) { return }
    let isFirst = reported == nil
    reported = verdict
    since = environment.clock.unixTime
    let words: Logger.Message = verdict == .up ? "service is up" : "service is down"
    logger.log(
      isFirst && verdict == .up ? .info : .notice, words, [.service: configuration.name, .reason: reason])
    environment.original.transition(configuration.name, to: verdict)
    environment.meters.transitions.increment()
    reporter.report(verdict)
  }

  private func isAllowed(_ verdict: Verdict) -> Bool {
    guard let limit = configuration.rateLimit, limiter?.consume(now: environment.clock.now) == false else {
      isHeldBack = false
      return true
    }
    environment.original.throttled(configuration.name, isShadow: limit.isShadow)
    environment.meters.throttled.increment()
    if !isHeldBack || limit.isShadow {
      logger.log(
        .warning, limit.isShadow ? "report above its rate limit, let through" : "report held back by its rate limit",
        [.service: configuration.name, .verdict: verdict])
    }
    isHeldBack = !limit.isShadow
    return limit.isShadow
  }
}
