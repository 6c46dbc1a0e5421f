/// Lets a limited number of tasks do something at one time; the others wait in line, first come, first served.
@LoopActor public final class AsyncSemaphore {
  /// The number of permits. Raising it lets waiting tasks go on; lowering it takes no permit back.
  public var limit: Int { didSet { grant() } }
  /// The number of acquired permits.
  public private(set) var acquiredCount = 0
  /// The number of waiting tasks.
  public private(set) var waitingCount = 0

  /// The line from `next` on. Who left it has its event failed, and is passed over.
  private var line: [OneShotEvent<Void>] = []
  private var next = 0

  /// Creates a semaphore with all its permits free; at least one.
  public nonisolated init(limit: Int) { self.limit = max(1, limit) }

  /// Acquires a permit if one is free and nobody waits for it. Each permit is given back with ``release()``.
  public func tryAcquire() -> Bool {
    guard acquiredCount < limit, waitingCount == 0 else { return false }
    acquiredCount += 1
    return true
  }

  /// Waits for a permit. Each permit is given back with ``release()``.
  /// - Throws: `CancellationError` when the task is cancelled, and there is no permit then.
  public func acquire() async throws {
    if tryAcquire() { return }
    let turn = OneShotEvent<Void>()
    line.append(turn)
    waitingCount += 1
    do {
      try await turn.wait()
      // A deadline that passed at the same time: nobody would give the permit back.
      try Task.checkCancellation()
    } catch {
      if turn.fail(with: error) {
        waitingCount -= 1
      } else if turn.isSuccess {
        release()
      }
      throw error
    }
  }

  /// Gives a permit back, to the first in line.
  public func release() {
    acquiredCount -= 1
    grant()
  }

  private func grant() {
    while acquiredCount < limit, next < line.count {
      let turn = line[next]
      next += 1
      guard turn.happen() else { continue }
      acquiredCount += 1
      waitingCount -= 1
    }
    // Also under a load that never lets the line get empty, the served ones go.
    if next > line.count / 2 {
      line.removeSubrange(..<next)
      next = 0
    }
  }
}
