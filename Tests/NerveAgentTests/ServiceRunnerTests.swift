import Logging
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import NerveAgent

@Suite @LoopActor struct ServiceRunnerTests {
  let clock = LoopClock.manual()
  let reporter = FakeReporter()
  let environment: RunnerEnvironment

  init() { environment = RunnerEnvironment(clock: clock, logger: silent, metrics: Metrics()) }

  private func runner(_ configuration: ServiceConfiguration, _ checks: [ScriptedCheck]) -> ServiceRunner {
    ServiceRunner(configuration, checks: checks, reporter: reporter, environment: environment)
  }

  @Test func aServiceWithoutChecksIsUpAtOnce() {
    runner(service(), []).start()
    #expect(reporter.reports == [.up])
  }

  @Test func aMockedServiceIsUpWhateverItsChecksWouldSay() {
    var configuration = service(checks: [check()])
    configuration.isMocked = true
    let scripted = ScriptedCheck(standing: false)
    runner(configuration, [scripted]).start()
    #expect(reporter.reports == [.up])
    #expect(scripted.probes == 0)
  }

  @Test func theFirstResultCountsAtOnceAndLaterOnesByRiseAndFall() {
    let scripted = ScriptedCheck(standing: true)
    let runner = runner(service(checks: [check(rise: 2, fall: 3)]), [scripted])
    runner.start()
    #expect(reporter.reports == [.up])
    scripted.standing = false
    // The first periodic check comes within one and a half intervals, the others an interval apart.
    clock.advance(by: .seconds(3))
    clock.advance(by: .seconds(1))
    let failures = scripted.probes - 1
    clock.advance(by: .seconds(2) * (2 - failures))
    #expect(reporter.reports == [.up])
    clock.advance(by: .seconds(2))
    #expect(reporter.reports == [.up, .down])
    scripted.standing = true
    clock.advance(by: .seconds(2))
    #expect(reporter.reports == [.up, .down])
    clock.advance(by: .seconds(2))
    #expect(reporter.reports == [.up, .down, .up])
  }

  @Test func aCheckNeverOverlapsItself() {
    let slow = ScriptedCheck()
    let runner = runner(service(checks: [check()]), [slow])
    runner.start()
    clock.advance(by: .seconds(20))
    #expect(slow.probes == 1)
    #expect(runner.reported == nil)
  }

  @Test func oneFailingCheckIsEnoughWhileAnotherHangs() async throws {
    let (hanging, failing) = (ScriptedCheck("hanging"), ScriptedCheck("failing", standing: false))
    runner(service(checks: [check(), check()]), [hanging, failing]).start()
    #expect(reporter.reports == [.down])
  }

  @Test func upNeedsEveryCheck() async throws {
    let (slow, good) = (ScriptedCheck("slow"), ScriptedCheck("good", standing: true))
    let runner = runner(service(checks: [check(), check()]), [slow, good])
    runner.start()
    #expect(reporter.reports.isEmpty)
    slow.answer(true)
    try await eventually("the service is up") { runner.reported == .up }
    #expect(reporter.reports == [.up])
  }

  @Test func aStoppedRunnerReportsNothingMore() async throws {
    let slow = ScriptedCheck()
    let runner = runner(service(checks: [check()]), [slow])
    runner.start()
    runner.stop()
    slow.answer(true)
    clock.advance(by: .seconds(10))
    try await eventually("the late answer has arrived") { slow.open == 0 }
    #expect(reporter.reports.isEmpty)
    #expect(slow.probes == 1)
  }

  @Test func anEnforcedRateLimitHoldsReportsBackUntilThereIsATokenAgain() {
    let scripted = ScriptedCheck(standing: true)
    let limit = RateLimit(averageRate: 0, maxBurst: 1, isShadow: false)
    let runner = runner(service(checks: [check()], rateLimit: limit), [scripted])
    runner.start()
    clock.advance(by: .seconds(60))
    #expect(reporter.reports.isEmpty)
    #expect(runner.verdict == .up)

    let other = FakeReporter()
    let once = ServiceRunner(
      service("b", checks: [check()], rateLimit: RateLimit(averageRate: 1, maxBurst: 1, isShadow: false)),
      checks: [ScriptedCheck(standing: true)], reporter: other, environment: environment)
    once.start()
    #expect(other.reports == [.up])
  }

  @Test func aRateLimitInShadowModeOnlyTalks() {
    let limit = RateLimit(averageRate: 0, maxBurst: 1, isShadow: true)
    runner(service(checks: [check()], rateLimit: limit), [ScriptedCheck(standing: true)]).start()
    #expect(reporter.reports == [.up])
    #expect(environment.meters.throttled.value == 1)
  }

  // MARK: Drains

  @Test func aDrainIsImmediateAndUndrainTakesOneGoodCheck() async throws {
    let scripted = ScriptedCheck(standing: true)
    let runner = runner(service(checks: [check(rise: 5, fall: 5)]), [scripted])
    runner.start()
    runner.setDrained(true, reason: "Service web in down state", deciding: [0])
    #expect(reporter.reports == [.up, .down])
    // While drained the answer is no; that must not count against it afterwards.
    scripted.standing = false
    clock.advance(by: .seconds(20))
    scripted.standing = true
    let before = scripted.probes
    runner.setDrained(false, reason: "", deciding: [0])
    #expect(scripted.probes == before + 1)
    #expect(reporter.reports == [.up, .down, .up])
  }

  @Test func anUndrainedServiceThatIsBrokenStaysDown() {
    let scripted = ScriptedCheck(standing: true)
    let runner = runner(service(checks: [check()]), [scripted])
    runner.start()
    runner.setDrained(true, reason: "", deciding: [0])
    scripted.standing = false
    runner.setDrained(false, reason: "", deciding: [0])
    #expect(reporter.reports == [.up, .down])
  }

  @Test func anAnswerFromBeforeTheUndrainDoesNotCount() async throws {
    let slow = ScriptedCheck()
    let runner = runner(service(checks: [check()]), [slow])
    runner.start()
    runner.setDrained(true, reason: "", deciding: [0])
    runner.setDrained(false, reason: "", deciding: [0])
    #expect(slow.probes == 2)
    slow.answer(false)
    slow.answer(true)
    try await eventually("the second answer counts") { runner.reported == .up }
    #expect(reporter.reports == [.down, .up])
  }

  @Test func aDrainIsNotHeldBackByARateLimit() {
    let limit = RateLimit(averageRate: 1, maxBurst: 1, isShadow: false)
    let runner = runner(service(checks: [check()], rateLimit: limit), [ScriptedCheck(standing: true)])
    runner.start()
    runner.setDrained(true, reason: "", deciding: [0])
    #expect(reporter.reports == [.up, .down])
  }
}
