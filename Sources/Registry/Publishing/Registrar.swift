public import Reactor
public import SmartStack

/// Keeps a registry in step with one service's verdict: a record while the service is up, none while it is down.
///
/// Whether the service should be registered is ``claim`` and nothing else; over lost connections and expired sessions
/// the record sees to it.
@LoopActor public final class Registrar {
  /// Progress of the last report.
  public enum State: Equatable, Sendable, CustomStringConvertible {
    /// Nothing was reported yet.
    case idle
    /// The registry has yet to confirm.
    case pending(Verdict)
    /// The registry agrees with the last report; with the record's place if there is one.
    case settled(Verdict, place: String?)
    /// The registry refused; the record is tried again.
    case failed(Verdict, reason: String)

    /// Whether the registry agrees with the last report.
    public var isSettled: Bool { if case .settled = self { true } else { false } }

    /// The text that `nerve status` shows.
    public var description: String {
      switch self {
      case .idle: "nothing reported"
      case .pending(let verdict): "reporting \(verdict)"
      case .settled(let verdict, let place): place.map { "reported \(verdict) at \($0)" } ?? "reported \(verdict)"
      case .failed(let verdict, let reason): "cannot report \(verdict): \(reason)"
      }
    }
  }

  /// Progress of the last report.
  public private(set) var state: State = .idle { didSet { if state != oldValue { onChange?(state) } } }
  /// Called after every change of ``state``.
  public var onChange: (@LoopActor (State) -> Void)?
  /// Place and content of the registration.
  public let target: RegistrationTarget

  private let record: any RegistryRecord
  private let clock: LoopClock
  private let observe: @LoopActor (RegistrationEvent) -> Void
  private let onClose: @LoopActor () async -> Void
  private var claim: RecordClaim?
  /// When the record was claimed, or was lost.
  private var claimed: LoopClock.Instant
  private var renewal: Ticker?

  /// - Parameters:
  ///   - record: of `target`, for as long as the registrar lives.
  ///   - observe: called with everything that becomes of the registration.
  ///   - onClose: called by ``close()`` when the record is gone.
  init(
    target: RegistrationTarget, record: any RegistryRecord, clock: LoopClock,
    observe: @escaping @LoopActor (RegistrationEvent) -> Void = { _ in },
    onClose: @escaping @LoopActor () async -> Void = {}
  ) {
    self.target = target
    self.record = record
    self.clock = clock
    self.observe = observe
    self.onClose = onClose
    claimed = clock.now
  }

  /// Whether the registry answers at this moment.
  public var isReachable: Bool { record.isReachable }

  /// Sets what the registry should say from now on. Returns at once; repeating a verdict does nothing.
  public func report(_ verdict: Verdict) {
    switch (verdict, claim) {
    case (.up, nil):
      state = .pending(.up)
      claimed = clock.now
      let claim = RecordClaim(data: target.data) { [weak self] in self?.recordChanged($0) }
      self.claim = claim
      record.add(claim)
    case (.down, let leaving?):
      state = .pending(.down)
      giveUp(leaving)
    case (.down, nil) where state == .idle:
      record.discardUnclaimed()
      state = .settled(.down, place: nil)
    case (.up, _?), (.down, nil): break
    }
  }

  /// Takes the registration back; returns when it is gone or cannot be there any more, or when the registry has refused.
  public func withdraw() async {
    if let claim { giveUp(claim) }
    await leaving?.outcome()
  }

  /// Takes the registration back and gives the record up, for good. A registry that refuses is let go of all the same:
  /// the session's end removes the record, or else the next run.
  public func close() async {
    await withdraw()
    await onClose()
  }

  // MARK: Up

  private func recordChanged(_ record: RecordState) {
    switch record {
    case .pending:
      if case .settled(.up, let place?) = state {
        observe(.lost(place: place))
        claimed = clock.now
      }
      state = .pending(.up)
    case .present(let place):
      if state == .settled(.up, place: place) { return }
      observe(.registered(place: place, elapsed: clock.now - claimed))
      startRenewal()
      state = .settled(.up, place: place)
    case .failed(let reason):
      let failed = State.failed(claim == nil ? .down : .up, reason: reason)
      if state == failed { return }
      observe(.refused(place: self.record.place, reason: reason))
      state = failed
      if claim == nil, isReachable { leaving?.happen() }
    }
  }

  // MARK: Down

  /// Happens when the last claim that was given up is gone, or the registry refuses to remove it.
  private var leaving: OneShotEvent<Void>?

  private func giveUp(_ claim: RecordClaim) {
    let place = if case .settled(.up, let place?) = state { place } else { record.place }
    let end = OneShotEvent<Void>()
    (self.claim, leaving) = (nil, end)
    renewal?.cancel()
    renewal = nil
    Task.immediate { @LoopActor in
      await deregister(claim, at: place)
      end.happen()
    }
  }

  private func deregister(_ claim: RecordClaim, at place: String) async {
    let started = clock.now
    let isRemoved = await record.remove(claim)
    // Let go of after a refusal.
    if !isRemoved, case .failed(.down, _) = state { return }
    observe(.deregistered(place: place, elapsed: clock.now - started, isHandedOver: !isRemoved))
    if self.claim == nil { state = .settled(.down, place: nil) }
  }

  // MARK: ttl_seconds

  private func startRenewal() {
    guard renewal == nil, let interval = target.renewal else { return }
    renewal = Ticker(every: interval, phase: interval, clock: clock) { [weak self] _ in self?.renew() }
  }

  private func renew() {
    guard case .settled(.up, _) = state else { return }
    record.touch()
    observe(.renewed(isReachable: isReachable))
  }
}

/// Change of one service's registration, for the log, the metrics and upstream's StatsD names.
public enum RegistrationEvent: Equatable, Sendable {
  /// A registrar was made, with a new connection to its registry or with one in use.
  case opened(isNewConnection: Bool)
  /// The registry confirmed the record, this long after it was claimed or lost.
  case registered(place: String, elapsed: Duration)
  /// A confirmed record may not be there any more; it is being written again.
  case lost(place: String)
  /// The registry refused the record.
  case refused(place: String, reason: String)
  /// The record was removed, or stays for another claim on it.
  case deregistered(place: String, elapsed: Duration, isHandedOver: Bool)
  /// The record is being written again so that its time shows that the agent lives.
  case renewed(isReachable: Bool)
}
