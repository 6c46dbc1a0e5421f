import Reactor
import TestSupport
import Testing

@Suite struct EventLoopTests {
  @Test @LoopActor func actorCodeRunsOnTheLoopsThread() async throws {
    #expect(EventLoop.shared.isCurrent)
    let elsewhere = try await BlockingWork.run { EventLoop.shared.isCurrent }
    #expect(!elsewhere)
    #expect(EventLoop.shared.isCurrent)
  }

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

  @Test @LoopActor func realTimersFire() async throws {
    var fired = false
    LoopClock.system.schedule(after: .milliseconds(1)) { fired = true }
    try await eventually("the timer fires") { fired }
  }
}
