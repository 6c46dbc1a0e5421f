import Logging
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import Hacheck
@testable import NerveAgent
@testable import Registry

@Suite @LoopActor struct ServiceRunnerTests {
  private static let downtime = Downtime(scope: .service("web"), reason: "x", creation: nil, expiration: nil)
  let clock = LoopClock.manual()
  let record = FakeRecord()
  let telemetry = NerveTelemetry(logger: silent, metrics: Metrics())

  private func runner(
    _ configuration: ServiceConfiguration, checks: [ScriptedProbe], at record: FakeRecord? = nil
  ) -> ServiceRunner {
    ServiceRunner(
      configuration, probes: checks, registrar: (record ?? self.record).registrar(),
      schedule: CheckSchedule(clock: clock), telemetry: telemetry, clock: clock)
  }

  @Test func aServiceWithoutChecksIsUpAtOnce() {
    runner(service(), checks: []).start()
    #expect(record.reports == [.up])
  }

  @Test func aMockedServiceIsUpWhateverItsChecksWouldSay() {
    var configuration = service(checks: [check()])
    configuration.isMocked = true
    let scripted = ScriptedProbe(standing: false)
    runner(configuration, checks: [scripted]).start()
    #expect(record.reports == [.up])
    #expect(scripted.probes == 0)
  }

  @Test func theFirstResultCountsAtOnceAndLaterOnesByRiseAndFall() {
    let scripted = ScriptedProbe(standing: true)
    let runner = runner(service(checks: [check(rise: 2, fall: 3)]), checks: [scripted])
    runner.start()
    #expect(record.reports == [.up])
    scripted.standing = false
    // The first periodic check comes within one and a half intervals, the others an interval apart.
    clock.advance(by: .seconds(3))
    clock.advance(by: .seconds(1))
    let failures = scripted.probes - 1
    clock.advance(by: .seconds(2) * (2 - failures))
    #expect(record.reports == [.up])
    clock.advance(by: .seconds(2))
    #expect(record.reports == [.up, .down])
    scripted.standing = true
    clock.advance(by: .seconds(2))
    #expect(record.reports == [.up, .down])
    clock.advance(by: .seconds(2))
    #expect(record.reports == [.up, .down, .up])
  }

  @Test func aCheckThatCouldNotBeMadeLeavesTheVerdictAndItsRunOfResults() async throws {
    let scripted = ScriptedProbe()
    let runner = runner(service(checks: [check(fall: 2)]), checks: [scripted])
    runner.start()
    func answer(_ result: ProbeResult) async throws {
      if scripted.open == 0 { clock.advance(by: .seconds(3)) }
      let probes = scripted.probes
      scripted.answer(result)
      try await eventually("the next check may begin") {
        clock.advance(by: .seconds(2))
        return scripted.probes > probes
      }
    }
    let shortage = ProbeResult.inconclusive("Too many open files")
    try await answer(shortage)
    #expect(record.reports == [] && !runner.knowsVerdict)
    try await answer(.healthy("fine"))
    #expect(record.reports == [.up])
    try await answer(.refused("broken"))
    try await answer(shortage)
    #expect(record.reports == [.up] && runner.lastResults[0]?.detail == "broken")
    try await answer(.refused("broken"))
    #expect(record.reports == [.up, .down])
    #expect(telemetry.metrics.notMade.value == 2)
  }

  @Test func aCheckNeverOverlapsItself() {
    let slow = ScriptedProbe()
    let runner = runner(service(checks: [check()]), checks: [slow])
    runner.start()
    clock.advance(by: .seconds(20))
    #expect(slow.probes == 1)
    #expect(runner.reported == nil)
  }

  @Test func aServiceWhoseCheckNeverEndsIsNotUp() async throws {
    let hung = ScriptedProbe()
    let runner = runner(service(checks: [check()]), checks: [hung])
    var before = CheckHistory.Memory()
    (before.run, before.lastPassed, before.verdict) = (1, true, .up)
    runner.memories = [before]
    runner.start()
    // As the program before this one has seen it.
    #expect(record.reports == [.up] && runner.standing == .up)
    clock.advance(by: .seconds(10))
    #expect(runner.overdue == nil)
    clock.advance(by: .seconds(2))
    #expect(runner.overdue?.check == "a" && runner.overdue?.elapsed == .seconds(12))
    #expect(runner.standing == nil && runner.reported == .up)
    hung.answer(true)
    try await eventually("it has ended after all") { runner.standing == .up }
  }

  @Test func oneFailingCheckIsEnoughWhileAnotherHangs() async throws {
    let (hanging, failing) = (ScriptedProbe(), ScriptedProbe(standing: false))
    runner(service(checks: [check(), check()]), checks: [hanging, failing]).start()
    #expect(record.reports == [.down])
  }

  @Test func upNeedsEveryCheck() async throws {
    let (slow, good) = (ScriptedProbe(), ScriptedProbe(standing: true))
    let runner = runner(service(checks: [check(), check()]), checks: [slow, good])
    runner.start()
    #expect(record.reports.isEmpty)
    slow.answer(true)
    try await eventually("the service is up") { runner.reported == .up }
    #expect(record.reports == [.up])
  }

  @Test func aStoppedRunnerReportsNothingMore() async throws {
    let slow = ScriptedProbe()
    let runner = runner(service(checks: [check()]), checks: [slow])
    runner.start()
    runner.stop()
    slow.answer(true)
    clock.advance(by: .seconds(10))
    try await eventually("the late answer has arrived") { slow.open == 0 }
    #expect(record.reports.isEmpty)
    #expect(slow.probes == 1)
  }

  @Test func aReportHeldBackByTheRateLimitIsMadeWhenThereIsATokenAgain() {
    let scripted = ScriptedProbe(standing: true)
    // One token at the start, the next one ten seconds after the first was spent.
    let limit = RateLimit(averageRate: 0.1, maxBurst: 1, isShadow: false)
    let runner = runner(service(checks: [check()], rateLimit: limit), checks: [scripted])
    runner.start()
    #expect(record.reports.isEmpty)
    #expect(runner.knowsVerdict)
    clock.advance(by: .seconds(8))
    #expect(record.reports.isEmpty)
    clock.advance(by: .seconds(4))
    #expect(record.reports == [.up])
    scripted.standing = false
    clock.advance(by: .seconds(4))
    #expect(record.reports == [.up])
    clock.advance(by: .seconds(10))
    #expect(record.reports == [.up, .down])
    // Each report that was held back is logged and counted once per look, not reported twice.
    #expect(telemetry.metrics.transitions.value == 2)
  }

  @Test func aRateOfZeroReportsNothing() {
    let limit = RateLimit(averageRate: 0, maxBurst: 1, isShadow: false)
    runner(service(checks: [check()], rateLimit: limit), checks: [ScriptedProbe(standing: true)]).start()
    clock.advance(by: .seconds(600))
    #expect(record.reports.isEmpty)
  }

  @Test func aRateLimitInShadowModeOnlyTalks() {
    let limit = RateLimit(averageRate: 0, maxBurst: 1, isShadow: true)
    runner(service(checks: [check()], rateLimit: limit), checks: [ScriptedProbe(standing: true)]).start()
    #expect(record.reports == [.up])
    #expect(telemetry.metrics.throttled.value == 1)
  }

  // MARK: Drains

  @Test func aDrainIsImmediateAndUndrainTakesOneGoodCheck() async throws {
    let scripted = ScriptedProbe(standing: true)
    let runner = runner(service(checks: [check(rise: 5, fall: 5)]), checks: [scripted])
    runner.start()
    runner.setDowntime(ServiceRunnerTests.downtime, deciding: [0])
    #expect(record.reports == [.up, .down])
    // While drained the answer is no; that must not count against it afterwards.
    scripted.standing = false
    clock.advance(by: .seconds(20))
    scripted.standing = true
    let before = scripted.probes
    runner.setDowntime(nil, deciding: [0])
    #expect(scripted.probes == before + 1)
    #expect(record.reports == [.up, .down, .up])
  }

  @Test func anUndrainedServiceThatIsBrokenStaysDown() {
    let scripted = ScriptedProbe(standing: true)
    let runner = runner(service(checks: [check()]), checks: [scripted])
    runner.start()
    runner.setDowntime(ServiceRunnerTests.downtime, deciding: [0])
    scripted.standing = false
    runner.setDowntime(nil, deciding: [0])
    #expect(record.reports == [.up, .down])
  }

  @Test func anAnswerFromBeforeTheUndrainDoesNotCount() async throws {
    let slow = ScriptedProbe()
    let runner = runner(service(checks: [check()]), checks: [slow])
    runner.start()
    runner.setDowntime(ServiceRunnerTests.downtime, deciding: [0])
    runner.setDowntime(nil, deciding: [0])
    #expect(slow.probes == 2)
    slow.answer(false)
    slow.answer(true)
    try await eventually("the second answer counts") { runner.reported == .up }
    #expect(record.reports == [.down, .up])
  }

  @Test func aDrainIsNotHeldBackByARateLimit() {
    let limit = RateLimit(averageRate: 1, maxBurst: 1, isShadow: false)
    let runner = runner(service(checks: [check()], rateLimit: limit), checks: [ScriptedProbe(standing: true)])
    runner.start()
    runner.setDowntime(ServiceRunnerTests.downtime, deciding: [0])
    #expect(record.reports == [.up, .down])
  }
}
