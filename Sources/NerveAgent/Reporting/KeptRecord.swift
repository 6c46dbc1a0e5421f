internal import Reactor
internal import SmartStack

/// One record of a registry (a file, a key of an etcd), kept as those who claim it want it.
///
/// Claims on one record share it: the latest claim's data is written, and the record goes with the last claim. So a
/// service that takes over from another one never leaves a gap between them. What the registry refuses is tried again,
/// with growing delays, for as long as it is wanted.
@LoopActor final class KeptRecord {
  /// What a claim is told.
  enum State: Equatable, Sendable {
    /// The registry has lost the record; it is being written again.
    case pending
    case present
    case failed(reason: String)
  }

  /// How the registry writes and deletes this record. Both may be asked for what is true already.
  struct Operations {
    var put: @LoopActor ([UInt8]) async throws -> Void
    var delete: @LoopActor () async throws -> Void
  }

  private enum Known: Equatable {
    case unknown
    case absent
    case present([UInt8])
  }

  /// For the log: a path, a key.
  let place: String
  private let operations: Operations
  private let clock: LoopClock
  private let retrying = RetryPolicy(base: .milliseconds(500), limit: .seconds(10))
  private var claims: [RecordClaim] = []
  private var known = Known.unknown
  private var isWorking = false
  /// Counts the moments at which the registry may have lost the record: what was under way then does not count.
  private var losses = 0
  private var attempt = 0
  private var retry: LoopTimer?
  private var waiting: [CheckedContinuation<Void, Never>] = []
  private var isAbandoned = false

  init(place: String, clock: LoopClock, operations: Operations) {
    self.place = place
    self.clock = clock
    self.operations = operations
  }

  isolated deinit { retry?.cancel() }

  /// Whether somebody wants the record.
  var isClaimed: Bool { !claims.isEmpty }
  /// Whether the registry has the record as far as we know.
  var isPresent: Bool { if case .present = known { true } else { false } }
  /// Whether the last attempt was refused.
  var isFailing: Bool { attempt > 0 }

  // MARK: Wishes

  /// Wants the record with `data` until the claim is released.
  func claim(_ data: [UInt8], onChange: @escaping @LoopActor (State) -> Void) -> RecordClaim {
    let claim = RecordClaim(data, onChange)
    claims.append(claim)
    if known == .present(data) { onChange(.present) } else { settle() }
    return claim
  }

  /// Gives a claim up.
  /// - Returns: true when the record is gone; false, at once, when somebody else still wants it.
  func release(_ claim: RecordClaim) async -> Bool {
    claims.removeAll { $0 === claim }
    settle()
    guard claims.isEmpty else { return false }
    if isWorking || !isTrue { await withCheckedContinuation { waiting.append($0) } }
    return claims.isEmpty
  }

  /// Makes the record what is wanted now: without a claim that is none, also if an earlier run has left one.
  func enforce() { settle() }

  /// Writes the record once more, so that its time says that somebody is alive.
  func touch() {
    known = .unknown
    settle()
  }

  /// The registry may not have the record any more.
  func lost() {
    losses += 1
    known = .unknown
    tell(.pending)
    settle()
  }

  /// Stops trying, and leaves the record as it is.
  func abandon() {
    isAbandoned = true
    claims = []
    retry?.cancel()
    retry = nil
    resumeWaiting()
  }

  // MARK: Steps

  private var isTrue: Bool { isAbandoned || known == (claims.last.map { .present($0.data) } ?? .absent) }

  private func settle() {
    retry?.cancel()
    retry = nil
    guard !isWorking else { return }
    guard !isTrue else { return resumeWaiting() }
    isWorking = true
    Task.immediate { @LoopActor in await work() }
  }

  private func work() async {
    while !isTrue {
      let (wanted, losses) = (claims.last?.data, losses)
      do {
        if let wanted { try await operations.put(wanted) } else { try await operations.delete() }
        attempt = 0
        if losses == self.losses { known = wanted.map { .present($0) } ?? .absent }
        if let wanted, claims.last?.data == wanted, losses == self.losses { tell(.present) }
      } catch {
        isWorking = false
        return failed(error)
      }
    }
    isWorking = false
    resumeWaiting()
  }

  private func failed(_ error: any Error) {
    // The request may have arrived all the same.
    known = .unknown
    guard !isAbandoned else { return resumeWaiting() }
    let delay = retrying.delay(attempt: attempt)
    attempt += 1
    retry = clock.schedule(after: delay) { [weak self] in self?.settle() }
    tell(.failed(reason: "\(error)"))
  }

  private func tell(_ state: State) { for claim in claims { claim.onChange(state) } }

  private func resumeWaiting() {
    let waiting = waiting
    self.waiting = []
    for continuation in waiting { continuation.resume() }
  }
}

/// Somebody's wish that a record exist.
@LoopActor final class RecordClaim {
  let data: [UInt8]
  fileprivate let onChange: @LoopActor (KeptRecord.State) -> Void

  fileprivate init(_ data: [UInt8], _ onChange: @escaping @LoopActor (KeptRecord.State) -> Void) {
    self.data = data
    self.onChange = onChange
  }
}
