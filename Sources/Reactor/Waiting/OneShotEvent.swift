/// An event that happens once, with a value or an error; any number of tasks wait for it, before or afterwards.
@LoopActor public final class OneShotEvent<Value: Sendable> {
  private typealias Waiter = (number: Int, continuation: CheckedContinuation<Value, any Error>)

  private var result: Result<Value, any Error>?
  /// Almost always there is one waiter; only others need the heap.
  private var first: Waiter?
  private var others: [Waiter] = []
  private var nextNumber = 0

  /// Creates an event that has not happened yet.
  public nonisolated init() {}

  /// Whether the event has happened.
  public var hasHappened: Bool { result != nil }

  /// Whether the event has happened, with a value.
  var isSuccess: Bool { if case .success = result { true } else { false } }

  /// Makes the event happen. Only the first call counts.
  /// - Returns: whether this was the first call.
  @discardableResult
  public func happen(with value: Value) -> Bool { finish(.success(value)) }

  /// Makes everybody who waits throw `error`. Only the first call counts.
  /// - Returns: whether this was the first call.
  @discardableResult
  public func fail(with error: any Error) -> Bool { finish(.failure(error)) }

  /// Waits for the event.
  /// - Throws: `CancellationError` when the task is cancelled before; the event and its other waiters go on.
  public func wait() async throws -> Value {
    if let result { return try result.get() }
    nextNumber += 1
    let number = nextNumber
    return try await withTaskCancellationHandler {
      try await suspend(as: number)
    } onCancel: {
      Task { @LoopActor in self.cancel(number) }
    }
  }

  /// Waits for the event, also in a cancelled task.
  @discardableResult
  public func outcome() async -> Result<Value, any Error> {
    if let result { return result }
    nextNumber += 1
    do {
      return .success(
        try await withCheckedThrowingContinuation { add((number: nextNumber, continuation: $0)) })
    } catch {
      return .failure(error)
    }
  }

  private func suspend(as number: Int) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
      if Task.isCancelled {
        continuation.resume(throwing: CancellationError())
      } else {
        add((number: number, continuation: continuation))
      }
    }
  }

  private func add(_ waiter: Waiter) {
    if first == nil, others.isEmpty { first = waiter } else { others.append(waiter) }
  }

  private func cancel(_ number: Int) {
    if let waiter = first, waiter.number == number {
      first = nil
      waiter.continuation.resume(throwing: CancellationError())
    } else if let index = others.firstIndex(where: { $0.number == number }) {
      others.remove(at: index).continuation.resume(throwing: CancellationError())
    }
  }

  private func finish(_ result: Result<Value, any Error>) -> Bool {
    guard self.result == nil else { return false }
    self.result = result
    first?.continuation.resume(with: result)
    first = nil
    guard !others.isEmpty else { return true }
    let ready = others
    others = []
    for waiter in ready { waiter.continuation.resume(with: result) }
    return true
  }
}

extension OneShotEvent where Value == Void {
  /// Makes the event happen. Only the first call counts.
  /// - Returns: whether this was the first call.
  @discardableResult
  public func happen() -> Bool { happen(with: ()) }
}
