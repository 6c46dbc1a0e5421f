internal import Reactor

/// A value or a deadline, whichever comes first; a value that is there at once costs no timer.
@LoopActor final class DeadlineRace<Value: Sendable> {
  private var value: Value?
  private var isDecided = false
  private var continuation: CheckedContinuation<Void, Never>?

  nonisolated init() {}

  /// Only the first call counts; nil is the deadline.
  func finish(_ value: Value?) {
    guard !isDecided else { return }
    isDecided = true
    self.value = value
    continuation?.resume()
    continuation = nil
  }

  /// Waits for ``finish(_:)``, to be called once; nil after `limit`.
  func value(within limit: Duration, clock: LoopClock) async -> Value? {
    if isDecided { return value }
    let timer = clock.schedule(after: limit) { [weak self] in self?.finish(nil) }
    await withCheckedContinuation { continuation = $0 }
    timer.cancel()
    return value
  }
}
