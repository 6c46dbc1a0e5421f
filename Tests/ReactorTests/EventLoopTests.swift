import Glibc
import TestSupport
import Testing

@testable import Reactor

@Suite(.timeLimit(.minutes(2 * patience))) struct EventLoopTests {
  @Test @LoopActor func actorCodeRunsOnTheLoopsThread() async throws {
    #expect(EventLoop.shared.isCurrent)
    let elsewhere = try await BlockingWork.run { EventLoop.shared.isCurrent }
    #expect(!elsewhere)
    #expect(EventLoop.shared.isCurrent)
  }

  /// What starts on the loop's thread stays there, so that an await costs no context switch.
  /// The runtime may start a job a second time elsewhere when its priority is raised: hence not quite all.
  @Test @LoopActor func jobsOfTheGlobalPoolStayOnTheLoopsThread() async {
    var stayed = 0
    for _ in 0..<1000 where await isOnLoop() { stayed += 1 }
    #expect(stayed > 900)
  }

  @Test @LoopActor func hopsFromForeignThreadsAllArrive() async throws {
    let (threads, hops) = (8, 2000)
    let arrived = Counter()
    for _ in 0..<threads {
      startThread {
        for _ in 0..<hops { Task { @LoopActor in arrived.value += 1 } }
      }
    }
    try await eventually("all hops arrive") { arrived.value == threads * hops }
  }

  /// Each job leaves another one: the queue is never empty, yet everybody else gets a turn.
  @Test @LoopActor func aTaskThatNeverRestsStarvesNobody() async throws {
    let done = Counter()
    let restless = Task.immediate { @LoopActor in
      while done.value == 0 { await Task.yield() }
    }
    let answer = try await BlockingWork.run { 42 }
    #expect(answer == 42)
    done.value = 1
    await restless.value
  }

  @Test func lockedValuesSurviveContention() async {
    let counter = Locked(0)
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<8 {
        group.addTask { for _ in 0..<1000 { counter.withLock { $0 += 1 } } }
      }
    }
    #expect(counter.withLock { $0 } == 8000)
  }

  @Test @LoopActor func aSignalRunsItsHandlerOnTheLoop() async throws {
    var deliveries = 0
    let source = EventSource(signal: SIGURG) { deliveries += 1 }
    kill(getpid(), SIGURG)
    try await eventually("the signal arrives") { deliveries == 1 }
    kill(getpid(), SIGURG)
    try await eventually("it arrives again") { deliveries == 2 }
    source.cancel()
  }
}

@concurrent private func isOnLoop() async -> Bool { EventLoop.shared.isCurrent }

@LoopActor private final class Counter {
  var value = 0
}

@Suite(.timeLimit(.minutes(2 * patience))) struct LoopClockTests {
  @Test @LoopActor func timersFireInOrderOfTheirTime() async throws {
    let clock = LoopClock.manual()
    var fired: [Int] = []
    clock.schedule(after: .seconds(2)) { fired.append(2) }
    clock.schedule(after: .seconds(1)) { fired.append(1) }
    let cancelled = clock.schedule(after: .seconds(1)) { fired.append(99) }
    cancelled.cancel()
    clock.advance(by: .seconds(3))
    #expect(fired == [1, 2])
  }

  @Test @LoopActor func whatATimerSchedulesFiresInTheSameAdvance() {
    let clock = LoopClock.manual()
    var fired: [Double] = []
    let start = clock.unixTime
    clock.schedule(after: .seconds(1)) {
      clock.schedule(after: .seconds(1)) { fired.append(clock.unixTime - start) }
    }
    clock.advance(by: .seconds(5))
    #expect(fired == [2])
    #expect(clock.unixTime - start == 5)
  }

  /// A callback that takes long must not make the timers it sets come early.
  @Test @LoopActor func realTimersAreNeverEarly() async throws {
    var elapsed: Duration?
    LoopClock.system.schedule(after: .milliseconds(1)) {
      let busyUntil = ContinuousClock.now + .milliseconds(30)
      while ContinuousClock.now < busyUntil {}
      let start = ContinuousClock.now
      LoopClock.system.schedule(after: .milliseconds(20)) { elapsed = ContinuousClock.now - start }
    }
    try await eventually("both timers fire") { elapsed != nil }
    // A little slack: the kernel's timers run on another clock than ContinuousClock.
    #expect(try #require(elapsed) >= .milliseconds(19))
  }

  @Test @LoopActor func aTimerOfAThousandYearsCanBeSet() {
    let timer = LoopClock.system.schedule(after: .seconds(Int64.max / 4)) {}
    #expect(timer.isPending)
    timer.cancel()
    #expect(!timer.isPending)
  }

  @Test @LoopActor func sleepEndsWithCancellation() async throws {
    let clock = LoopClock.manual()
    let sleeper = Task.immediate { @LoopActor in try await clock.sleep(for: .seconds(1000)) }
    sleeper.cancel()
    await #expect(throws: CancellationError.self) { try await sleeper.value }

    let lateSleeper = Task { @LoopActor in
      withUnsafeCurrentTask { $0?.cancel() }
      try await clock.sleep(for: .seconds(1000))
    }
    await #expect(throws: CancellationError.self) { try await lateSleeper.value }
  }

  @Test @LoopActor func cancellingASleepThatIsOverDoesNothing() async throws {
    let sleeper = Task { @LoopActor in try await LoopClock.system.sleep(for: .zero) }
    try await sleeper.value
    sleeper.cancel()
    try await LoopClock.system.sleep(for: .zero)
  }
}

@Suite struct TickerTests {
  @Test @LoopActor func aTickerKeepsItsPhase() {
    let clock = LoopClock.manual()
    let start = clock.now
    var ticks: [Duration] = []
    let ticker = Ticker(every: .seconds(2), phase: .milliseconds(500), clock: clock) { _ in
      ticks.append(clock.now - start)
    }
    clock.advance(by: .seconds(5))
    #expect(ticks == [.milliseconds(500), .milliseconds(2500), .milliseconds(4500)])
    ticker.cancel()
    clock.advance(by: .seconds(5))
    #expect(ticks.count == 3)
  }

  /// The loop is held up from 0.5 s to 7 s: three ticks are skipped, the phase stays.
  @Test @LoopActor func aTickerSkipsTheCallsThatItMissed() {
    let clock = LoopClock.manual()
    let start = clock.now
    var ticks: [(at: Duration, late: Duration)] = []
    let ticker = Ticker(every: .seconds(2), phase: .milliseconds(500), clock: clock) { lateness in
      ticks.append((clock.now - start, lateness))
      if ticks.count == 1 { clock.advance(by: .milliseconds(6500)) }
    }
    clock.advance(by: .seconds(9))
    #expect(
      ticks.map(\.at) == [
        .milliseconds(500), .milliseconds(2500), .milliseconds(4500), .milliseconds(6500), .milliseconds(8500),
      ])
    #expect(ticks.allSatisfy { $0.late == .zero })
    ticker.cancel()
  }

  @Test @LoopActor func aRealTickerThatIsHeldUpSaysSo() async throws {
    var lateness: [Duration] = []
    let ticker = Ticker(every: .milliseconds(10)) { late in
      lateness.append(late)
      if lateness.count == 1 {
        let busyUntil = ContinuousClock.now + .milliseconds(35)
        while ContinuousClock.now < busyUntil {}
      }
    }
    try await eventually("three ticks") { lateness.count >= 3 }
    ticker.cancel()
    #expect(lateness[1] >= .milliseconds(20))
  }

  @Test @LoopActor func aTickerMayBeCancelledByItsOwnBody() {
    let clock = LoopClock.manual()
    var count = 0
    var ticker: Ticker?
    ticker = Ticker(every: .seconds(1), clock: clock) { _ in
      count += 1
      ticker?.cancel()
    }
    clock.advance(by: .seconds(5))
    #expect(count == 1)
  }
}

@Suite struct ResumedTaskTests {
  /// A newer runtime may lack the hook, or not ask it: everything works then, and each wait is slower.
  @Test @LoopActor func theRuntimeAsksTheLoopFirst() async throws {
    try await LoopClock.system.sleep(for: .zero)
    #expect(EventLoop.shared.resumesTasks)
  }
}

@Suite(.timeLimit(.minutes(2 * patience))) struct BlockingWorkTests {
  private struct Problem: Error {}
  // Kinds of these tests' own: what holds up a kind of the agents' holds up every test that needs it.
  private static let hung = BlockingWork("hung")
  private static let other = BlockingWork("other")

  @Test func noMoreThanTheLimitRunsAtOnceAndAllRunsInTheEnd() async throws {
    struct Load { var now = 0, most = 0 }
    let load = Locked(Load())
    let sum = try await withThrowingTaskGroup(of: Int.self) { group in
      for index in 0..<64 {
        group.addTask {
          try await BlockingWorkTests.other.run {
            load.withLock {
              $0.now += 1
              $0.most = max($0.most, $0.now)
            }
            usleepBriefly()
            load.withLock { $0.now -= 1 }
            return index
          }
        }
      }
      return try await group.reduce(0, +)
    }
    #expect(sum == 64 * 63 / 2)
    #expect(load.withLock { $0.most } <= BlockingWork.maximumThreads)
  }

  /// As of a disk that hangs, with more work than there are threads.
  @Test func workOfOneKindWaitsForNoOther() async throws {
    let isOver = Locked(false)
    let (hung, other) = (BlockingWorkTests.hung, BlockingWorkTests.other)
    let tasks = (0..<2 * BlockingWork.maximumThreads).map { _ in
      Task { try await hung.run { while !isOver.withLock({ $0 }) { usleepBriefly() } } }
    }
    try await eventually("all of it waits") { hung.backlog.count == tasks.count }
    #expect(try await other.run { 7 } == 7)
    #expect(hung.backlog.age > .zero)
    #expect(Set(BlockingWork.kinds.map(ObjectIdentifier.init)).count == 4)
    isOver.withLock { $0 = true }
    for task in tasks { try await task.value }
  }

  @Test func anErrorOfTheBodyIsThrown() async {
    await #expect(throws: Problem.self) { try await BlockingWork.run { throw Problem() } }
  }
}

/// Work that really blocks: a millisecond in the kernel.
private func usleepBriefly() { poll(nil, 0, 1) }
