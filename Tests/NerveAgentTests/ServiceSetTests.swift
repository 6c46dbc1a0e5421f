import Logging
import Reactor
import SmartStack
import TestSupport
import Testing
import ZooKeeper

@testable import NerveAgent

/// Reloads on a manual clock, with reporters and checks that the test holds in its hand.
@Suite @LoopActor struct ServiceSetTests {
  let clock = LoopClock.manual()
  let made = Made()
  let set: ServiceSet

  /// What the set asked for, by name, oldest first.
  @LoopActor final class Made {
    var reporters: [String: [FakeReporter]] = [:]
    var checks: [String: [ScriptedCheck]] = [:]
    var ended: [String] = []
    var settlesAtOnce = true
    var standing: Bool? = true
  }

  init() {
    let made = made
    set = ServiceSet(
      environment: RunnerEnvironment(clock: clock, logger: silent, metrics: Metrics()),
      factory: ServiceSet.Factory(
        checks: { service in
          service.checks.map { _ in
            let scripted = ScriptedCheck(service.name, standing: made.standing)
            made.checks[service.name, default: []].append(scripted)
            return scripted
          }
        },
        reporter: { service in
          let reporter = FakeReporter()
          reporter.settlesAtOnce = made.settlesAtOnce
          made.reporters[service.name, default: []].append(reporter)
          return reporter
        },
        ended: { made.ended.append($0.name) }),
      drains: DrainBoard())
  }

  private func apply(_ services: [ServiceConfiguration], bad: Set<String> = []) {
    var configuration = NerveConfiguration(instanceID: "h")
    configuration.services = services
    configuration.badServices = bad
    set.apply(configuration)
  }

  @Test func anUnchangedServiceKeepsItsRunner() {
    apply([service("web", checks: [check()])])
    let before = set.runners["web"]
    apply([service("web", checks: [check()]), service("new")])
    #expect(set.runners["web"] === before)
    #expect(made.reporters["web"]?.count == 1)
    #expect(made.reporters["new"]?.count == 1)
  }

  @Test func aRemovedServiceIsTakenBack() {
    apply([service("web"), service("gone")])
    apply([service("web")])
    #expect(made.reporters["gone"]?.first?.isClosed == true)
    #expect(made.reporters["web"]?.first?.isClosed == false)
    #expect(made.ended == ["gone"])
  }

  @Test func aChangedServiceStaysUntilItsReplacementHasReported() throws {
    apply([service("web", weight: 1)])
    made.settlesAtOnce = false
    apply([service("web", weight: 2)])
    let reporters = try #require(made.reporters["web"])
    #expect(reporters.count == 2)
    #expect(reporters[1].reports == [.up])
    #expect(!reporters[0].isClosed)
    reporters[1].settle()
    #expect(reporters[0].isClosed)
    #expect(!reporters[1].isClosed)
  }

  @Test func twoChangesInARowLeaveOneRegistration() throws {
    apply([service("web", weight: 1)])
    made.settlesAtOnce = false
    apply([service("web", weight: 2)])
    apply([service("web", weight: 3)])
    let reporters = try #require(made.reporters["web"])
    #expect(reporters.map(\.isClosed) == [false, false, false])
    reporters[1].settle()
    #expect(reporters.map(\.isClosed) == [false, false, false])
    reporters[2].settle()
    #expect(reporters.map(\.isClosed) == [true, true, false])
  }

  @Test func aServiceRemovedWhileBeingReplacedLeavesNothing() throws {
    apply([service("web", weight: 1)])
    made.settlesAtOnce = false
    apply([service("web", weight: 2)])
    apply([])
    #expect(made.reporters["web"]?.map(\.isClosed) == [true, true])
    #expect(set.running.isEmpty)
  }

  @Test func otherChecksTakeTheRegistrationOver() throws {
    apply([service("web", checks: [check()])])
    made.standing = nil
    apply([service("web", checks: [check(rise: 3)])])
    #expect(made.reporters["web"]?.count == 1)
    let reporter = try #require(made.reporters["web"]?.first)
    // Nothing is reported before the new check has answered: the registration stands meanwhile.
    #expect(reporter.reports == [.up])
    #expect(!reporter.isClosed)
  }

  @Test func aBadServiceStaysAsItWas() {
    apply([service("web"), service("other")])
    let before = set.runners["web"]
    apply([service("other")], bad: ["web"])
    #expect(set.runners["web"] === before)
    #expect(made.reporters["web"]?.first?.isClosed == false)
  }

  @Test func allReportedIsSaidOnceWhenEveryServiceKnows() async throws {
    var said = 0
    set.onAllReported = { said += 1 }
    made.standing = nil
    apply([service("a", checks: [check()]), service("b", checks: [check()]), service("c")])
    #expect(said == 0)
    made.checks["a"]?.first?.answer(true)
    made.checks["b"]?.first?.answer(false)
    try await eventually("everything is known") { said == 1 }
    apply([])
    #expect(said == 1)
  }

  @Test func stoppingTakesPersistentRegistrationsBack() async {
    apply([service("stays", mode: .persistent), service("goes")])
    await set.stop(within: .seconds(1))
    #expect(made.reporters["stays"]?.first?.isClosed == true)
    // The session's end takes this one back.
    #expect(made.reporters["goes"]?.first?.isClosed == false)
  }
}
