internal import Logging
internal import Reactor
internal import SmartStack
internal import ZooKeeper

/// Publishes one service's verdict as a znode: there while the service is up, gone while it is down.
@LoopActor final class ZooKeeperReporter: Reporter {
  private(set) var state: ReporterState = .idle { didSet { if state != oldValue { onChange?(state) } } }
  var onChange: (@LoopActor (ReporterState) -> Void)?

  private let service: String
  private let target: ZooKeeperTarget
  private let ensemble: Ensemble
  private let environment: RunnerEnvironment
  private var wanted: Verdict?
  private var claim: NodeClaim?
  /// The node's path while it is known to be there.
  private var path: String?
  private var asked: LoopClock.Instant
  private var isReleasing = false
  private var renewal: Ticker?

  init(service: String, target: ZooKeeperTarget, ensemble: Ensemble, environment: RunnerEnvironment) {
    self.service = service
    self.target = target
    self.ensemble = ensemble
    self.environment = environment
    asked = environment.clock.now
    if let bytes = target.encodedBytes { environment.original.encoded(target, bytes: bytes) }
  }

  var isReachable: Bool { if case .connected = ensemble.client.state { true } else { false } }

  func report(_ verdict: Verdict) {
    guard verdict != wanted else { return }
    wanted = verdict
    follow()
  }

  func close() async {
    wanted = .down
    renewal?.cancel()
    if isReleasing {
      // Somebody waits for the node to go already; wait with them.
      await withCheckedContinuation { continuation in closing.append(continuation) }
    } else if claim != nil {
      await release()
    }
  }

  private var closing: [CheckedContinuation<Void, Never>] = []

  /// One step towards what is wanted; called again after each step that took time.
  private func follow() {
    switch wanted {
    case .up where claim == nil && !isReleasing: register()
    case .down where claim != nil && !isReleasing:
      state = .pending(.down)
      Task.immediate { @LoopActor in await release() }
    case .down where claim == nil && !isReleasing:
      dropStale()
      state = .settled(.down, place: nil)
    default: break
    }
  }

  // MARK: Up

  private func register() {
    state = .pending(.up)
    asked = environment.clock.now
    claim = ensemble.claim(target.registration) { [weak self] in self?.nodeChanged($0) }
  }

  private func nodeChanged(_ node: WantedNode.State) {
    guard wanted == .up else { return }
    switch node {
    case .pending:
      if path != nil {
        environment.logger.notice("registration lost", [.service: service, .znode: path ?? ""])
      }
      path = nil
      state = .pending(.up)
    case .registered(let path): registered(at: path)
    case .failed(let error):
      path = nil
      if case .failed(_, let reason) = state, reason == error.description { return }
      environment.meters.reportFailures.increment()
      environment.original.reported(service, success: false)
      environment.logger.error(
        "registration refused", [.service: service, .znode: target.registration.path, .reason: error])
      state = .failed(.up, reason: error.description)
    case .withdrawn: path = nil
    }
  }

  private func registered(at path: String) {
    guard path != self.path else { return }
    self.path = path
    let elapsed = environment.clock.now - asked
    environment.logger.notice("registered", [.service: service, .znode: path, .elapsed: elapsed])
    environment.meters.registrations.increment()
    environment.original.reported(service, success: true)
    environment.original.created(target, elapsed: elapsed)
    startRenewal()
    state = .settled(.up, place: path)
  }

  // MARK: Down

  private func release() async {
    guard let leaving = claim else { return }
    (claim, isReleasing) = (nil, true)
    renewal?.cancel()
    renewal = nil
    let started = environment.clock.now
    let isGone = await leaving.release()
    isReleasing = false
    let elapsed = environment.clock.now - started
    environment.logger.notice(
      isGone ? "deregistered" : "registration handed over",
      [.service: service, .znode: path ?? target.registration.path, .elapsed: elapsed])
    path = nil
    environment.meters.deregistrations.increment()
    environment.original.deleted(target, elapsed: elapsed)
    if wanted == .down { state = .settled(.down, place: nil) } else { follow() }
    let waiting = closing
    closing = []
    for continuation in waiting { continuation.resume() }
  }

  /// A persistent node of a fixed name may be left from an earlier run: a service that is down must not
  /// have one.
  private func dropStale() {
    let registration = target.registration
    if registration.mode == .persistent, state == .idle { ensemble.drop(registration.path) }
  }

  // MARK: ttl_seconds

  private func startRenewal() {
    guard renewal == nil, let every = target.renewal, !target.registration.mode.isEphemeral else { return }
    renewal = Ticker(every: every, phase: every, clock: environment.clock) { [weak self] _ in self?.renew() }
  }

  private func renew() {
    guard path != nil else { return }
    claim?.touch()
    environment.original.renewed(target, success: isReachable)
  }
}
