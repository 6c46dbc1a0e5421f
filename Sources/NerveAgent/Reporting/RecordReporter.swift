internal import Logging
internal import Reactor
internal import SmartStack

/// Publishes one service's verdict as a record: there while the service is up, gone while it is down.
@LoopActor final class RecordReporter: Reporter {
  private(set) var state: ReporterState = .idle { didSet { if state != oldValue { onChange?(state) } } }
  var onChange: (@LoopActor (ReporterState) -> Void)?

  private let service: String
  private let data: [UInt8]
  private let record: KeptRecord
  private let environment: RunnerEnvironment
  private let renewalInterval: Duration?
  private let reachable: @LoopActor () -> Bool
  private var wanted: Verdict?
  private var claim: RecordClaim?
  private var isRegistered = false
  private var asked: LoopClock.Instant
  private var isReleasing = false
  private var renewal: Ticker?
  private var closing: [CheckedContinuation<Void, Never>] = []

  /// - Parameters:
  ///   - data: what the record says while the service is up.
  ///   - renewal: how often the record is written again; nil for never.
  ///   - reachable: what ``isReachable`` says.
  init(
    service: String, data: [UInt8], record: KeptRecord, renewal: Duration?, reachable: @escaping @LoopActor () -> Bool,
    environment: RunnerEnvironment
  ) {
    self.service = service
    self.data = data
    self.record = record
    renewalInterval = renewal
    self.reachable = reachable
    self.environment = environment
    asked = environment.clock.now
  }

  var isReachable: Bool { reachable() }

  func report(_ verdict: Verdict) {
    guard verdict != wanted else { return }
    wanted = verdict
    follow()
  }

  func close() async {
    wanted = .down
    renewal?.cancel()
    if isReleasing {
      // Somebody waits for the record to go already; wait with them.
      await withCheckedContinuation { closing.append($0) }
    } else if claim != nil {
      await release()
    }
  }

  /// One step towards what is wanted; called again after each step that took time.
  private func follow() {
    guard !isReleasing else { return }
    switch wanted {
    case .up where claim == nil: register()
    case .down where claim != nil:
      state = .pending(.down)
      Task.immediate { @LoopActor in await release() }
    case .down:
      // An earlier run may have left one.
      record.enforce()
      state = .settled(.down, place: nil)
    default: break
    }
  }

  // MARK: Up

  private func register() {
    state = .pending(.up)
    asked = environment.clock.now
    claim = record.claim(data) { [weak self] in self?.recordChanged($0) }
  }

  private func recordChanged(_ record: KeptRecord.State) {
    guard wanted == .up else { return }
    switch record {
    case .pending:
      if isRegistered { environment.logger.notice("registration lost", [.service: service, .path: self.record.place]) }
      isRegistered = false
      state = .pending(.up)
    case .present: registered()
    case .failed(let reason):
      if case .failed(_, reason) = state { return }
      environment.meters.reportFailures.increment()
      environment.original.reported(service, success: false)
      environment.logger.error(
        "registration refused", [.service: service, .path: self.record.place, .reason: reason])
      isRegistered = false
      state = .failed(.up, reason: reason)
    }
  }

  private func registered() {
    guard !isRegistered else { return }
    isRegistered = true
    environment.logger.notice(
      "registered", [.service: service, .path: record.place, .elapsed: environment.clock.now - asked])
    environment.meters.registrations.increment()
    environment.original.reported(service, success: true)
    if renewal == nil, let every = renewalInterval {
      renewal = Ticker(every: every, phase: every, clock: environment.clock) { [weak self] _ in self?.record.touch() }
    }
    state = .settled(.up, place: record.place)
  }

  // MARK: Down

  private func release() async {
    guard let leaving = claim else { return }
    (claim, isReleasing, isRegistered) = (nil, true, false)
    renewal?.cancel()
    renewal = nil
    let started = environment.clock.now
    let isGone = await record.release(leaving)
    isReleasing = false
    environment.logger.notice(
      isGone ? "deregistered" : "registration handed over",
      [.service: service, .path: record.place, .elapsed: environment.clock.now - started])
    environment.meters.deregistrations.increment()
    environment.original.reported(service, success: true)
    if wanted == .down { state = .settled(.down, place: nil) } else { follow() }
    let waiting = closing
    closing = []
    for continuation in waiting { continuation.resume() }
  }
}
