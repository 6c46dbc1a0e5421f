internal import Reactor
internal import SmartStack

/// A record of a registry that only knows "write this" and "delete this": a file, a key of an etcd.
///
/// A loop compares what the claims want with what the registry is known to hold, sends one request, and compares again.
/// What the registry refuses is tried again, with growing delays, for as long as it is wanted.
@LoopActor final class RecordReconciler: RegistryRecord {
  private enum Known: Equatable {
    case unknown
    case absent
    case present([UInt8])
  }

  let place: String
  private let put: @LoopActor ([UInt8]) async throws -> Void
  private let delete: @LoopActor () async throws -> Void
  private let reachable: (@LoopActor () -> Bool)?
  private let clock: LoopClock
  private let retrying = RetryPolicy(base: .milliseconds(500), limit: .seconds(10))
  private var claims: [RecordClaim] = []
  private var known = Known.unknown
  private var isWorking = false
  /// Counts the moments at which the registry may have lost the record: an answer to an earlier request is void then.
  private var losses = 0
  private var attempt = 0
  private var retry: LoopTimer?
  /// The claim that was given up last, and what happens with the record's removal, or with false when a later claim or
  /// ``abandon()`` keeps it.
  private var removal: (claim: RecordClaim, end: OneShotEvent<Bool>)?
  private var isAbandoned = false

  /// - Parameters:
  ///   - put: writes the record; also called when the registry has it already.
  ///   - delete: deletes the record; also called when there is none.
  ///   - reachable: whether the registry answers; nil: whether it carried the last request out.
  init(
    place: String, clock: LoopClock, put: @escaping @LoopActor ([UInt8]) async throws -> Void,
    delete: @escaping @LoopActor () async throws -> Void, reachable: (@LoopActor () -> Bool)? = nil
  ) {
    self.place = place
    self.clock = clock
    self.put = put
    self.delete = delete
    self.reachable = reachable
  }

  isolated deinit { retry?.cancel() }

  /// Whether a claim keeps the record.
  var isClaimed: Bool { !claims.isEmpty }
  /// Whether the registry is known to have the record.
  var isPresent: Bool { if case .present = known { true } else { false } }
  var isReachable: Bool { reachable?() ?? (attempt == 0) }

  // MARK: Claims

  func add(_ claim: RecordClaim) {
    claims.append(claim)
    if known == .present(claim.data) { claim.onChange(.present(place: place)) } else { reconcile() }
  }

  func remove(_ claim: RecordClaim) async -> Bool {
    claims.removeAll { $0 === claim }
    guard claims.isEmpty else {
      reconcile()
      return false
    }
    let end = removal?.end ?? OneShotEvent()
    removal = (claim, end)
    reconcile()
    return (try? await end.outcome().get()) ?? false
  }

  func settle() async { _ = await removal?.end.outcome() }

  func discardUnclaimed() { reconcile() }

  func touch() {
    known = .unknown
    reconcile()
  }

  /// The registry may not have the record any more.
  func lost() {
    losses += 1
    known = .unknown
    notify(.pending)
    reconcile()
  }

  /// Stops trying, and leaves the record as it is.
  func abandon() {
    isAbandoned = true
    claims = []
    retry?.cancel()
    retry = nil
    finishRemoval(false)
  }

  // MARK: The loop

  private var isInSync: Bool { isAbandoned || known == (claims.last.map { .present($0.data) } ?? .absent) }

  private func reconcile() {
    retry?.cancel()
    retry = nil
    guard !isWorking else { return }
    guard !isInSync else { return finishRemoval(claims.isEmpty && !isAbandoned) }
    isWorking = true
    Task.immediate { @LoopActor in await work() }
  }

  private func work() async {
    while !isInSync {
      let (wanted, losses) = (claims.last?.data, losses)
      do {
        if let wanted { try await put(wanted) } else { try await delete() }
      } catch {
        isWorking = false
        return failed(error)
      }
      attempt = 0
      guard losses == self.losses else { continue }
      known = wanted.map { .present($0) } ?? .absent
      if wanted == nil {
        finishRemoval(true)
      } else if claims.last?.data == wanted {
        notify(.present(place: place))
      }
    }
    isWorking = false
    finishRemoval(claims.isEmpty)
  }

  private func failed(_ error: any Error) {
    // The request may have arrived all the same.
    known = .unknown
    guard !isAbandoned else { return finishRemoval(false) }
    let delay = retrying.delay(attempt: attempt)
    attempt += 1
    retry = clock.schedule(after: delay) { [weak self] in self?.reconcile() }
    let state = RecordState.failed(reason: "\(error)")
    removal?.claim.onChange(state)
    notify(state)
  }

  private func notify(_ state: RecordState) { for claim in claims { claim.onChange(state) } }

  private func finishRemoval(_ isRemoved: Bool) {
    removal?.end.happen(with: isRemoved)
    removal = nil
  }
}
