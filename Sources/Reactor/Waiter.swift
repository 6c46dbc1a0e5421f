/// One suspended call, ended once: by its event or by cancellation, whichever is first, even before it began.
@LoopActor final class Waiter<Value: Sendable> {
  private var continuation: CheckedContinuation<Value, any Error>?
  private var result: Result<Value, any Error>?

  nonisolated init() {}

  /// To be called once.
  func wait() async throws -> Value {
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        if let result { continuation.resume(with: result) } else { self.continuation = continuation }
      }
    } onCancel: {
      Task { @LoopActor in self.finish(.failure(CancellationError())) }
    }
  }

  /// Ends the call; only the first time counts.
  func finish(_ result: Result<Value, any Error>) {
    guard self.result == nil else { return }
    self.result = result
    continuation?.resume(with: result)
    continuation = nil
  }
}
