/// Runs `body`, but waits for it no longer than `limit`.
///
/// At the deadline, or when the caller is cancelled, the body's task is cancelled and left behind: a body that cannot be
/// interrupted goes on by itself. A body that finishes without waiting costs no timer.
/// - Returns: the body's value, or nil when the deadline came first.
/// - Throws: what `body` throws, or `CancellationError`.
@LoopActor public func withDeadline<Value: Sendable>(
  after limit: Duration, clock: LoopClock = .system, _ body: @escaping @LoopActor () async throws -> Value
) async throws -> Value? {
  let end = OneShotEvent<Value?>()
  let task = Task.immediate { @LoopActor in
    do { end.happen(with: try await body()) } catch { end.fail(with: error) }
  }
  if end.hasHappened { return try await end.wait() }
  let timer = clock.schedule(after: limit) { if end.happen(with: nil) { task.cancel() } }
  defer { timer.cancel() }
  do {
    return try await end.wait()
  } catch {
    // What a body has finished or acquired by now is not lost in a cancelled caller.
    if end.hasHappened { return try await end.wait() }
    task.cancel()
    throw error
  }
}

extension LoopClock {
  /// Waits for `delay`.
  /// - Throws: `CancellationError` when the task is cancelled meanwhile.
  public func sleep(for delay: Duration) async throws {
    let end = OneShotEvent<Void>()
    let timer = schedule(after: delay) { end.happen() }
    defer { timer.cancel() }
    try await end.wait()
  }
}
