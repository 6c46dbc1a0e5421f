internal import Hacheck
internal import Reactor
internal import Registry
internal import SmartStack

/// One service: its checks on their schedule, the verdict, and the registrar that publishes it.
///
/// Every probe is its own task and never overlaps the check's previous one. A verdict is acted upon as
/// soon as one check changes it; nothing waits for a slower check.
@LoopActor final class ServiceRunner {
  /// The service, its checks and its place in the registry.
  let configuration: ServiceConfiguration
  /// Publishes the verdict; may be inherited from the service's previous configuration.
  let registrar: Registrar
  /// When the reported verdict became what it is, in seconds since 1970.
  private(set) var since: Double?
  /// The downtime that holds the service down.
  private(set) var downtime: Downtime?
  /// Called once, when the service knows its first verdict, reported or held back.
  var onVerdict: @LoopActor () -> Void = {}

  /// After its deadline a check has this long to end; it holds up none, but says nothing of the service either.
  private static let grace = Duration.seconds(10)

  private var checks: [(probe: any Probe, startedAt: LoopClock.Instant?, isTold: Bool, lastResult: CheckResult?)]
  private static let connectDeadline = Duration.seconds(1)
  private let clock: LoopClock
  private let schedule: CheckSchedule
  private let telemetry: NerveTelemetry
  private var verdict: ServiceVerdict
  private var ticker: Ticker?
  private var start: LoopTimer?
  /// Number of times that probes under way became void; the result of a probe from before is dropped.
  private var era = 0
  private var isStopped = false
  private var isJudged = false

  /// - Parameters:
  ///   - probes: one per entry of the configuration's `checks`, in its order.
  ///   - registrar: not closed by the runner.
  init(
    _ configuration: ServiceConfiguration, probes: [any Probe], registrar: Registrar, schedule: CheckSchedule,
    telemetry: NerveTelemetry, clock: LoopClock
  ) {
    self.configuration = configuration
    self.registrar = registrar
    self.schedule = schedule
    self.telemetry = telemetry
    self.clock = clock
    self.checks = configuration.isMocked ? [] : probes.map { ($0, nil, false, nil) }
    verdict = ServiceVerdict(
      histories: zip(self.checks, configuration.checks).map { CheckHistory(rise: $1.rise, fall: $1.fall) },
      limit: configuration.rateLimit, now: clock.now)
  }

  /// Results that the checks have seen, in their order; may be set before the start, to those of the program that this
  /// one replaced.
  var memories: [CheckHistory.Memory] {
    get { verdict.memories }
    set { verdict.memories = newValue }
  }

  var lastResults: [CheckResult?] { checks.map(\.lastResult) }
  /// The scope of a downtime of this service alone; nil: none has an effect, because no check asks hacheck.
  var drainScope: SpoolScope? { checks.lazy.compactMap { ($0.probe as? EmbeddedHacheckProbe)?.scope }.first }
  /// Whether every check has answered, or one is enough.
  var knowsVerdict: Bool { verdict.now != nil }
  var reported: Verdict? { verdict.reported }
  /// The verdict as far as the checks still stand for it: nil as well while one of them does not end.
  var standing: Verdict? { reported == .up && overdue != nil ? nil : reported }
  /// Whether a downtime holds the service down.
  var isDrained: Bool { verdict.isDrained }

  /// Starts the first checks after `delay`, the periodic ones on the service's own schedule.
  func start(after delay: Duration = .zero) {
    telemetry.watching(configuration)
    // Known from before: registrations are claimed before unclaimed ones are looked for.
    if knowsVerdict { report(because: "as before") }
    guard delay > .zero else { return begin() }
    start = clock.schedule(after: delay) { [weak self] in self?.begin() }
  }

  /// Ends the checks; the registration stays as it is.
  func stop() {
    guard !isStopped else { return }
    isStopped = true
    era += 1
    start?.cancel()
    ticker?.cancel()
    ticker = nil
    telemetry.stoppedWatching(configuration)
  }

  /// Starts or ends a downtime; nil: there is none. Down is reported now; up after one good check, made now.
  /// - Parameter covered: the checks (by index) whose answer the downtime decides, for its end.
  func setDowntime(_ downtime: Downtime?, deciding covered: [Int]) {
    guard !isStopped else { return }
    self.downtime = downtime
    let isDrained = downtime != nil
    guard isDrained != verdict.isDrained else { return }
    verdict.isDrained = isDrained
    telemetry.drained(configuration, by: downtime, isFromBefore: !isJudged)
    if let downtime { return report(because: downtime.downText) }
    era += 1
    for index in checks.indices { checks[index].startedAt = nil }
    for index in covered {
      let check = configuration.checks[index]
      verdict.forget(check: index, rise: check.rise, fall: check.fall)
    }
    probeAll()
  }

  // MARK: Checks

  private func begin() {
    guard !isStopped else { return }
    start = nil
    ticker = schedule.ticker(of: configuration) { [weak self] lateness in
      self?.telemetry.late(by: lateness)
      self?.probeAll()
    }
    probeAll()
  }

  private func probeAll() {
    telemetry.pinged(configuration, isReachable: registrar.isReachable)
    tellOverdue()
    for index in checks.indices where checks[index].startedAt == nil {
      let started = clock.now
      (checks[index].startedAt, checks[index].isTold) = (started, false)
      let (probe, era, clock) = (checks[index].probe, era, clock)
      let deadline = configuration.checks[index].settings.deadline
      Task.immediate { @LoopActor [weak self] in
        let answer = await probe.run(deadline: deadline)
        if case .inconclusive(let reason) = answer {
          self?.skip(check: index, because: reason, era: era)
        } else {
          let (passed, detail) = probe.judge(answer)
          let result = CheckResult(passed: passed, detail: detail, elapsed: clock.now - started)
          self?.record(result, ofCheck: index, era: era)
        }
      }
    }
    report(because: "")
  }

  /// The first check that should have ended, and for how long it has run; nil: none.
  var overdue: (check: String, elapsed: Duration)? {
    checks.indices.lazy.compactMap { index in
      self.overtime(of: index).map { (self.configuration.checks[index].name, $0) }
    }.first
  }

  private func overtime(of index: Int) -> Duration? {
    guard let started = checks[index].startedAt else { return nil }
    let elapsed = clock.now - started
    return elapsed > configuration.checks[index].settings.deadline + ServiceRunner.grace ? elapsed : nil
  }

  private func tellOverdue() {
    for index in checks.indices where !checks[index].isTold {
      guard let elapsed = overtime(of: index) else { continue }
      checks[index].isTold = true
      telemetry.overdue(configuration, check: configuration.checks[index].name, elapsed: elapsed)
    }
  }

  /// The check could not be made, for reasons of this host: the verdict stays.
  private func skip(check index: Int, because reason: String, era: Int) {
    guard era == self.era, !isStopped else { return }
    checks[index].startedAt = nil
    telemetry.notMade(configuration, check: configuration.checks[index].name, because: reason, at: clock.now)
  }

  private func record(_ result: CheckResult, ofCheck index: Int, era: Int) {
    guard era == self.era, !isStopped else { return }
    checks[index].startedAt = nil
    checks[index].lastResult = result
    let changed = verdict.record(check: index, passed: result.passed)
    telemetry.checked(configuration, by: configuration.checks[index].name, result: result, changed: changed)
    report(because: result.detail)
  }

  /// Reports the verdict if it is news and the rate limit lets it through; else the next result tries again.
  private func report(because reason: String) {
    guard let known = verdict.now else { return }
    if !isJudged {
      isJudged = true
      onVerdict()
    }
    let decision = verdict.decide(at: clock.now)
    telemetry.decided(decision, on: configuration, because: reason, isDrained: verdict.isDrained)
    switch decision {
    case .nothing, .overLimit(_, _, isShadow: false, _): return
    case .report, .overLimit:
      since = clock.unixTime
      registrar.report(known)
      if known == .up, !configuration.isMocked { warnIfOnLoopbackOnly() }
    }
  }

  /// Checks may go to another address than the registered one, to which clients on other hosts will connect.
  private func warnIfOnLoopbackOnly() {
    guard let address = IPAddress(configuration.host), !address.isLoopback else { return }
    let endpoint = Endpoint.tcp(host: configuration.host, port: configuration.port)
    Task.immediate { @LoopActor [telemetry, configuration] in
      do {
        try await ByteStream.connect(to: endpoint, deadline: ServiceRunner.connectDeadline).close()
      } catch StreamError.refused {
        telemetry.notReachable(configuration, at: endpoint)
      } catch {
        // Anything else says nothing about what the task listens on.
      }
    }
  }
}
