/// A value or a deadline, whichever comes first; a value that is there at once costs no timer.
@LoopActor public final class DeadlineRace<Value: Sendable> {
  private var value: Value?
  private var isDecided = false
  private var continuation: CheckedContinuation<Void, Never>?

  /// A race that is still open.
  public nonisolated init() {}

  /// Only the first call counts; nil is the deadline.
  public func finish(_ value: Value?) {
    guard !isDecided else { return }
    isDecided = true
    self.value = value
    continuation?.resume()
    continuation = nil
  }

  /// Waits for ``finish(_:)``, to be called once; nil after `limit`.
  public func value(within limit: Duration, clock: LoopClock) async -> Value? {
    if isDecided { return value }
    let timer = clock.schedule(after: limit) { [weak self] in self?.finish(nil) }
    await withCheckedContinuation { continuation = $0 }
    timer.cancel()
    return value
  }
}
