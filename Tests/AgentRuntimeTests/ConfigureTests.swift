import AgentRuntime
import Reactor
import TestSupport
import Testing

@Suite("tools that write configuration") struct ConfigureTests {
  @Test @LoopActor func aBurstIsOneWakeUp() async throws {
    let clock = LoopClock.manual()
    let bell = ChangeBell(clock: clock)
    var wakeUps = 0
    let waiting = Task { @LoopActor in
      for _ in 0..<2 {
        await bell.wait()
        wakeUps += 1
      }
    }
    await Task.yield()
    for _ in 0..<5 {
      bell.ring()
      clock.advance(by: .milliseconds(9))
      #expect(wakeUps == 0)
    }
    clock.advance(by: .milliseconds(1))
    try await eventually("the end of the burst") { wakeUps == 1 }
    for _ in 0..<12 {
      bell.ring()
      clock.advance(by: .milliseconds(9))
    }
    try await eventually("the end of patience") { wakeUps == 2 }
    await waiting.value
    #expect(wakeUps == 2)
  }
}
