import Reactor
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2 * patience))) struct OneShotEventTests {
  private struct Failure: Error {}

  @Test @LoopActor func allWaitersGetTheValueOfTheFirstCall() async throws {
    let event = OneShotEvent<Int>()
    let waiters = (0..<3).map { _ in Task.immediate { @LoopActor in try await event.wait() } }
    #expect(!event.hasHappened)
    #expect(event.happen(with: 1))
    #expect(!event.happen(with: 2))
    #expect(!event.fail(with: Failure()))
    for waiter in waiters { #expect(try await waiter.value == 1) }
    #expect(try await event.wait() == 1)
  }

  @Test @LoopActor func aFailureIsThrownToAllWaiters() async throws {
    let event = OneShotEvent<Int>()
    let waiter = Task.immediate { @LoopActor in try await event.wait() }
    event.fail(with: Failure())
    await #expect(throws: Failure.self) { try await waiter.value }
    await #expect(throws: Failure.self) { try await event.wait() }
  }

  @Test @LoopActor func cancellationEndsTheCancelledWaiterOnly() async throws {
    let event = OneShotEvent<Int>()
    let waiters = (0..<3).map { _ in Task.immediate { @LoopActor in try await event.wait() } }
    for cancelled in waiters.prefix(2) {
      cancelled.cancel()
      await #expect(throws: CancellationError.self) { try await cancelled.value }
    }
    #expect(!event.hasHappened)
    event.happen(with: 7)
    #expect(try await waiters[2].value == 7)
  }

  @Test @LoopActor func aCancelledTaskWaitsForTheOutcomeOnly() async throws {
    let event = OneShotEvent<Int>()
    let waiter = Task.immediate { @LoopActor in
      withUnsafeCurrentTask { $0?.cancel() }
      await #expect(throws: CancellationError.self) { try await event.wait() }
      return try await event.outcome().get()
    }
    event.happen(with: 7)
    #expect(try await waiter.value == 7)
  }
}

@Suite(.timeLimit(.minutes(2 * patience))) struct AsyncSignalTests {
  /// Counts how often a task is woken by `signal`.
  @LoopActor private final class Listener {
    private(set) var wakeUps = 0

    init(_ signal: AsyncSignal) {
      Task.immediate { @LoopActor [weak self] in
        while true {
          await signal.wait()
          guard let self else { return }
          self.wakeUps += 1
        }
      }
    }
  }

  /// Lets tasks that were resumed by now run.
  @LoopActor private func resumedTasks() async { for _ in 0..<3 { await Task.yield() } }

  @Test @LoopActor func severalCallsAreOneWakeUp() async {
    let signal = AsyncSignal(clock: .manual())
    signal.set()
    signal.set()
    let listener = Listener(signal)
    await resumedTasks()
    #expect(listener.wakeUps == 1)
    signal.set()
    signal.set()
    await resumedTasks()
    #expect(listener.wakeUps == 2)
  }

  @Test @LoopActor func theEarliestAppointmentStands() async {
    let clock = LoopClock.manual()
    let signal = AsyncSignal(clock: clock)
    let listener = Listener(signal)
    signal.set(after: .seconds(5))
    signal.set(after: .seconds(2))
    signal.set(after: .seconds(9))
    clock.advance(by: .seconds(1))
    await resumedTasks()
    #expect(listener.wakeUps == 0)
    clock.advance(by: .seconds(1))
    await resumedTasks()
    #expect(listener.wakeUps == 1)
    clock.advance(by: .seconds(10))
    await resumedTasks()
    #expect(listener.wakeUps == 1)
  }

  @Test @LoopActor func aCancelledAppointmentIsForgotten() async {
    let clock = LoopClock.manual()
    let signal = AsyncSignal(clock: clock)
    let listener = Listener(signal)
    signal.set(after: .seconds(1))
    signal.cancelAppointment()
    clock.advance(by: .seconds(1))
    await resumedTasks()
    #expect(listener.wakeUps == 0)
    signal.set(after: .seconds(1))
    clock.advance(by: .seconds(1))
    await resumedTasks()
    #expect(listener.wakeUps == 1)
  }

  @Test @LoopActor func aDebouncedSignalWakesAtTheEndOfTheBurst() async {
    let clock = LoopClock.manual()
    let signal = AsyncSignal(
      clock: clock, debounce: (quiet: .milliseconds(5), limit: .milliseconds(100)))
    let listener = Listener(signal)
    for _ in 0..<5 {
      signal.set()
      clock.advance(by: .milliseconds(4))
      await resumedTasks()
      #expect(listener.wakeUps == 0)
    }
    clock.advance(by: .milliseconds(1))
    await resumedTasks()
    #expect(listener.wakeUps == 1)
  }

  @Test @LoopActor func aBurstWithoutEndWakesAtItsLimit() async {
    let clock = LoopClock.manual()
    let signal = AsyncSignal(
      clock: clock, debounce: (quiet: .milliseconds(5), limit: .milliseconds(100)))
    let listener = Listener(signal)
    for _ in 0..<25 {
      await resumedTasks()
      #expect(listener.wakeUps == 0)
      signal.set()
      clock.advance(by: .milliseconds(4))
    }
    await resumedTasks()
    #expect(listener.wakeUps == 1)
  }
}

@Suite(.timeLimit(.minutes(2 * patience))) struct AsyncSemaphoreTests {
  @Test @LoopActor func permitsAreGrantedInTheOrderOfTheLine() async throws {
    let semaphore = AsyncSemaphore(limit: 2)
    var order: [Int] = []
    let tasks = (0..<5).map { number in
      Task.immediate { @LoopActor in
        try await semaphore.acquire()
        order.append(number)
      }
    }
    #expect(order == [0, 1])
    #expect((semaphore.acquiredCount, semaphore.waitingCount) == (2, 3))
    #expect(!semaphore.tryAcquire())
    for _ in 0..<3 { semaphore.release() }
    for task in tasks { try await task.value }
    #expect(order == [0, 1, 2, 3, 4])
    #expect((semaphore.acquiredCount, semaphore.waitingCount) == (2, 0))
  }

  @Test @LoopActor func aLineThatIsNeverEmptyKeepsItsOrder() async throws {
    let semaphore = AsyncSemaphore(limit: 1)
    #expect(semaphore.tryAcquire())
    var order: [Int] = []
    var tasks: [Task<Void, any Error>] = []
    for number in 0..<200 {
      tasks.append(
        Task.immediate { @LoopActor in
          try await semaphore.acquire()
          order.append(number)
        })
      if number >= 3 { semaphore.release() }
    }
    for _ in 0..<3 { semaphore.release() }
    for task in tasks { try await task.value }
    #expect(order == Array(0..<200))
    #expect((semaphore.acquiredCount, semaphore.waitingCount) == (1, 0))
  }

  @Test @LoopActor func aCancelledWaiterIsPassedOver() async throws {
    let semaphore = AsyncSemaphore(limit: 1)
    #expect(semaphore.tryAcquire())
    let tasks = (0..<2).map { _ in Task.immediate { @LoopActor in try await semaphore.acquire() } }
    tasks[0].cancel()
    await #expect(throws: CancellationError.self) { try await tasks[0].value }
    #expect(semaphore.waitingCount == 1)
    semaphore.release()
    try await tasks[1].value
    #expect((semaphore.acquiredCount, semaphore.waitingCount) == (1, 0))
  }

  /// The permit may be granted between a cancellation and the moment at which the cancelled task goes on.
  @Test @LoopActor func aPermitGrantedToACancelledWaiterIsNotLost() async throws {
    let semaphore = AsyncSemaphore(limit: 1)
    for delay in 0..<4 {
      #expect(semaphore.tryAcquire())
      let waiter = Task.immediate { @LoopActor in try await semaphore.acquire() }
      waiter.cancel()
      for _ in 0..<delay { await Task.yield() }
      semaphore.release()
      if case .success = await waiter.result { semaphore.release() }
      #expect((semaphore.acquiredCount, semaphore.waitingCount) == (0, 0))
    }
  }

  @Test @LoopActor func aHigherLimitLetsWaitersGoOn() async throws {
    let semaphore = AsyncSemaphore(limit: 1)
    #expect(semaphore.tryAcquire())
    let tasks = (0..<2).map { _ in Task.immediate { @LoopActor in try await semaphore.acquire() } }
    semaphore.limit = 3
    for task in tasks { try await task.value }
    semaphore.limit = 1
    #expect(semaphore.acquiredCount == 3)
    semaphore.release()
    semaphore.release()
    #expect(!semaphore.tryAcquire())
  }
}

@Suite(.timeLimit(.minutes(2 * patience))) struct DeadlineTests {
  private struct Failure: Error {}

  @Test @LoopActor func aBodyThatFinishesInTimeGivesItsValue() async throws {
    let clock = LoopClock.manual()
    #expect(try await withDeadline(after: .zero, clock: clock) { 1 } == 1)
    let task = Task.immediate { @LoopActor in
      try await withDeadline(after: .seconds(2), clock: clock) {
        try await clock.sleep(for: .seconds(1))
        return 2
      }
    }
    clock.advance(by: .seconds(1))
    #expect(try await task.value == 2)
  }

  @Test @LoopActor func theDeadlineGivesNilAndCancelsTheBody() async throws {
    let clock = LoopClock.manual()
    let cancelled = OneShotEvent<Void>()
    let task = Task.immediate { @LoopActor in
      try await withDeadline(after: .seconds(1), clock: clock) {
        do { try await clock.sleep(for: .seconds(1000)) } catch { cancelled.happen() }
      }
    }
    clock.advance(by: .seconds(1))
    #expect(try await task.value == nil)
    try await cancelled.wait()
  }

  @Test @LoopActor func aBodyThatCannotBeInterruptedIsLeftBehind() async throws {
    let clock = LoopClock.manual()
    let gate = OneShotEvent<Void>()
    let finished = OneShotEvent<Void>()
    let task = Task.immediate { @LoopActor in
      try await withDeadline(after: .seconds(1), clock: clock) {
        await gate.outcome()
        finished.happen()
      }
    }
    clock.advance(by: .seconds(1))
    #expect(try await task.value == nil)
    #expect(!finished.hasHappened)
    gate.happen()
    try await finished.wait()
  }

  @Test @LoopActor func theBodysErrorIsThrown() async {
    let clock = LoopClock.manual()
    await #expect(throws: Failure.self) { try await withDeadline(after: .seconds(1), clock: clock) { throw Failure() } }
  }

  @Test @LoopActor func aCancelledCallerDoesNotWait() async {
    let clock = LoopClock.manual()
    let task = Task.immediate { @LoopActor in
      try await withDeadline(after: .seconds(1), clock: clock) { await OneShotEvent<Void>().outcome() }
    }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
  }
}
