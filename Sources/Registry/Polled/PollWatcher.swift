internal import Logging
internal import Reactor
internal import SmartStack

/// A service whose registry has to be asked: each part in a loop of its own, so that a slow one delays no other.
///
/// A part that fails keeps its last answer; a line in the log says so once, and another one when it answers again. The
/// first delivery waits until each part has answered, or has failed often enough not to be waited for.
@LoopActor final class PollWatcher: RegistryWatcher {
  /// Failures of a part that has never answered before the others are delivered without it.
  static let patience = 3
  /// Between the first questions to two parts: a thousand names are not looked up at one moment.
  private static let spacing: Duration = .milliseconds(2)

  /// From one answer to the next question.
  private let interval: Duration
  /// From a failure to the next question.
  private let retrying: RetryPolicy
  private let environment: WatchEnvironment
  private let policy: ReadingPolicy
  private let counters: PollCounters
  private let watch: (@LoopActor (_ wake: @escaping @LoopActor () -> Void) async -> Void)?
  private var parts: [PolledPart]
  private var states: [String: PartState] = [:]
  private var deliver: (@LoopActor (RegistryReading) -> Void)?
  private var pending: LoopTimer?
  private var hasDelivered = false

  /// - Parameters:
  ///   - parts: nil when they are not known yet; see ``replace(_:)``.
  ///   - watch: waits for changes until it is cancelled, and has every part asked at once; nil: nothing tells of changes.
  ///   - policy: nil: the environment's over the registry's servers.
  init(
    every interval: Duration, of parts: [PolledPart]?, counters: PollCounters = .init(), environment: WatchEnvironment,
    watch: (@LoopActor (_ wake: @escaping @LoopActor () -> Void) async -> Void)? = nil, policy: ReadingPolicy? = nil
  ) {
    self.interval = interval
    retrying = RetryPolicy(base: min(interval, .seconds(1)), limit: max(interval, .seconds(1)))
    self.parts = parts ?? []
    areKnown = parts != nil
    self.counters = counters
    self.environment = environment
    self.policy = policy ?? environment.policy(for: .servers)
    self.watch = watch
  }
  private var areKnown: Bool

  func run(_ deliver: @escaping @LoopActor (RegistryReading) -> Void) async throws {
    self.deliver = deliver
    let watching = watch.map { watch in
      Task.immediate { @LoopActor in await watch { [weak self] in self?.wake() } }
    }
    if areKnown { replace(parts) }
    await untilCancelled()
    self.deliver = nil
    watching?.cancel()
    await watching?.value
    pending?.cancel()
    for state in states.values { state.end() }
    states = [:]
  }

  /// Other parts from now on; those that are known already go on as they are.
  func replace(_ parts: [PolledPart]) {
    areKnown = true
    self.parts = parts
    guard deliver != nil else { return }
    let wanted = Set(parts.map(\.id))
    for (id, state) in states where !wanted.contains(id) {
      state.end()
      states[id] = nil
    }
    var count = 0
    for part in parts where states[part.id] == nil {
      let state = PartState(part.initial, clock: environment.clock)
      states[part.id] = state
      let delay = PollWatcher.spacing * count
      count += 1
      state.task = Task { @LoopActor [weak self] in await self?.follow(part, in: state, after: delay) }
    }
    deliverSoon()
  }

  /// Asks every part now.
  func wake() {
    for state in states.values { state.signal.set() }
  }

  // MARK: One part

  private func follow(_ part: PolledPart, in state: PartState, after delay: Duration) async {
    if delay > .zero { state.signal.set(after: delay) } else { state.signal.set() }
    while true {
      await state.signal.wait()
      if state.isEnded { return }
      let isFirst = state.reading == nil
      if let asked = counters.asked { environment.count(asked) }
      do {
        let reading = try await part.read()
        if state.isEnded { return }
        record(reading, of: part, in: state)
      } catch {
        if state.isEnded { return }
        recordFailure(error, of: part, in: state)
      }
      state.signal.set(after: self.delay(failures: state.failures, isFirst: isFirst))
    }
  }

  /// The first question comes at once, and the second within one interval, so that agents started together do not ask
  /// together; the same for the time after a failure.
  private func delay(failures: Int, isFirst: Bool) -> Duration {
    if failures > 0 { return retrying.delay(attempt: failures - 1) }
    return isFirst ? interval * Double.random(in: 0.5...1) : interval
  }

  private func record(_ reading: RegistryReading, of part: PolledPart, in state: PartState) {
    if state.failures > 0 {
      environment.logger.notice(
        "registry query succeeded again",
        with: [.service: environment.service, .path: part.place, .attempt: state.failures])
      state.failures = 0
    }
    let before = state.reading
    for (place, reason) in reading.skipped.sorted(by: { $0.key < $1.key })
    where before?.skipped[place] != reason { environment.skip(place, because: reason) }
    for (place, words) in reading.ignored.sorted(by: { $0.key < $1.key })
    where before?.ignored[place] != words { environment.ignore(words, of: place) }
    state.reading = reading
    if before != reading { deliverSoon() }
  }

  private func recordFailure(_ error: any Error, of part: PolledPart, in state: PartState) {
    state.failures += 1
    if let failed = counters.failed { environment.count(failed, tags: ["service_name:\(environment.service)"]) }
    if state.failures == 1 {
      let words: Logger.Message =
        state.reading == nil
        ? "registry query failed" : "registry query failed, last answer kept"
      environment.logger.warning(words, with: [.service: environment.service, .path: part.place, .reason: "\(error)"])
    }
    if state.reading == nil, state.failures == PollWatcher.patience { deliverSoon() }
  }

  // MARK: Delivery

  /// Answers of one moment are delivered once.
  private func deliverSoon() {
    guard pending?.isPending != true else { return }
    pending = environment.clock.schedule(after: .zero) { [weak self] in self?.deliverIfReady() }
  }

  private func deliverIfReady() {
    guard let deliver else { return }
    let known = parts.compactMap { states[$0.id] }
    let readings = known.compactMap(\.reading)
    let backends = readings.flatMap(\.backends)
    // Later on, what went does not wait for what is new, unless that leaves nothing.
    let isWhole = known.allSatisfy { $0.reading != nil || $0.failures >= PollWatcher.patience }
    guard isWhole || hasDelivered && !backends.isEmpty else { return }
    // Nothing known is not the same as no servers.
    guard parts.isEmpty || !readings.isEmpty else { return }
    hasDelivered = true
    let generatorConfig = readings.compactMap(\.generatorConfig).first
    var reading = RegistryReading(backends: backends, generatorConfig: generatorConfig)
    reading.isPartial = readings.count < known.count
    deliver(policy(reading))
  }
}

@LoopActor private final class PartState {
  let signal: AsyncSignal
  var task: Task<Void, Never>?
  /// The last answer; nil before the first.
  var reading: RegistryReading?
  /// Since the last answer.
  var failures = 0
  private(set) var isEnded = false

  init(_ reading: RegistryReading?, clock: LoopClock) {
    self.reading = reading
    signal = AsyncSignal(clock: clock)
  }

  func end() {
    isEnded = true
    task?.cancel()
    signal.cancelAppointment()
    signal.set()
  }
}
