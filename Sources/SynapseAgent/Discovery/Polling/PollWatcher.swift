internal import AgentKit
internal import Logging
internal import Reactor
internal import SmartStack

/// A service whose registry has to be asked: each part in a loop of its own, so that a slow one delays no other.
///
/// A part that fails keeps its last answer; a line in the log says so once, and another one when it answers again. The
/// first publication waits until each part has answered, or has failed often enough not to be waited for.
@LoopActor final class PollWatcher: ServiceWatcher {
  /// Failures of a part that has never answered before the others are published without it.
  static let patience = 3
  /// Between the first questions to two parts: a thousand names are not looked up at one moment.
  private static let spacing: Duration = .milliseconds(2)

  let name: String
  private let schedule: PollSchedule
  private let publication: ServicePublication
  private let clock: LoopClock
  private let logger: Logger
  private let statsd: StatsD?
  private let counters: PollCounters
  private var parts: [PolledPart]
  private var states: [String: PartState] = [:]
  private var publish: (@LoopActor (ServiceSnapshot) -> Void)?
  private var pending: LoopTimer?
  private var hasPublished = false

  /// - Parameter parts: nil when they are not known yet; see ``replace(_:)``.
  init(
    service: ServiceConfiguration, schedule: PollSchedule, parts: [PolledPart]?, counters: PollCounters = .init(),
    context: AgentContext
  ) {
    name = service.name
    self.counters = counters
    statsd = context.statsd
    self.schedule = schedule
    self.parts = parts ?? []
    areKnown = parts != nil
    publication = ServicePublication(service: service, context: context)
    clock = context.clock
    logger = context.logger
  }
  private var areKnown: Bool

  func run(_ publish: @escaping @LoopActor (ServiceSnapshot) -> Void) async throws {
    self.publish = publish
    if areKnown { replace(parts) }
    await untilCancelled()
    self.publish = nil
    pending?.cancel()
    for state in states.values { state.end() }
    states = [:]
  }

  /// Other parts from now on; those that are known already go on as they are.
  func replace(_ parts: [PolledPart]) {
    areKnown = true
    self.parts = parts
    guard publish != nil else { return }
    let wanted = Set(parts.map(\.id))
    for (id, state) in states where !wanted.contains(id) {
      state.end()
      states[id] = nil
    }
    var count = 0
    for part in parts where states[part.id] == nil {
      let state = PartState(part.initial, clock: clock)
      states[part.id] = state
      let delay = PollWatcher.spacing * count
      count += 1
      state.task = Task { @LoopActor [weak self] in await self?.follow(part, state, after: delay) }
    }
    publishSoon()
  }

  /// Asks every part now.
  func wake() {
    for state in states.values { state.signal.set() }
  }

  // MARK: One part

  private func follow(_ part: PolledPart, _ state: PartState, after delay: Duration) async {
    if delay > .zero { state.signal.set(after: delay) } else { state.signal.set() }
    while true {
      await state.signal.wait()
      if state.isEnded { return }
      let isFirst = state.reading == nil
      if let asked = counters.asked { statsd?.increment(asked) }
      do {
        let reading = try await part.read()
        if state.isEnded { return }
        take(reading, part, state)
      } catch {
        if state.isEnded { return }
        failed(error, part, state)
      }
      state.signal.set(after: schedule.delay(failures: state.failures, isFirst: isFirst))
    }
  }

  private func take(_ reading: PartReading, _ part: PolledPart, _ state: PartState) {
    if state.failures > 0 {
      logger.notice("registry answers again", with: [.service: name, .path: part.place, .attempt: state.failures])
      state.failures = 0
    }
    let before = state.reading
    for (place, reason) in reading.skipped.sorted(by: { $0.key < $1.key })
    where before?.skipped[place] != reason { publication.skip(place, reason) }
    for (place, words) in reading.ignored.sorted(by: { $0.key < $1.key })
    where before?.ignored[place] != words { publication.ignore(place, words) }
    state.reading = reading
    if before != reading { publishSoon() }
  }

  private func failed(_ error: any Error, _ part: PolledPart, _ state: PartState) {
    state.failures += 1
    if let failed = counters.failed { statsd?.increment(failed, tags: ["service_name:\(name)"]) }
    if state.failures == 1 {
      let words: Logger.Message =
        state.reading == nil
        ? "registry cannot be asked" : "registry cannot be asked, what it said last stands"
      logger.warning(words, with: [.service: name, .path: part.place, .reason: "\(error)"])
    }
    if state.reading == nil, state.failures == PollWatcher.patience { publishSoon() }
  }

  // MARK: Publishing

  /// What comes at one moment is published once.
  private func publishSoon() {
    guard pending?.isPending != true else { return }
    pending = clock.schedule(after: .zero) { [weak self] in self?.publishIfReady() }
  }

  private func publishIfReady() {
    guard let publish else { return }
    let known = parts.compactMap { states[$0.id] }
    let readings = known.compactMap(\.reading)
    let backends = readings.flatMap(\.backends)
    // Later on, what went does not wait for what is new, unless that leaves nothing.
    let isWhole = known.allSatisfy { $0.reading != nil || $0.failures >= PollWatcher.patience }
    guard isWhole || hasPublished && !backends.isEmpty else { return }
    // Nothing known is not the same as no servers.
    guard parts.isEmpty || !readings.isEmpty else { return }
    hasPublished = true
    publish(publication.snapshot(of: backends, generatorConfig: readings.compactMap(\.generatorConfig).first))
  }
}

/// How one part stands.
@LoopActor private final class PartState {
  let signal: AsyncSignal
  var task: Task<Void, Never>?
  /// The last answer; nil before the first.
  var reading: PartReading?
  /// Since the last answer.
  var failures = 0
  private(set) var isEnded = false

  init(_ reading: PartReading?, clock: LoopClock) {
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
