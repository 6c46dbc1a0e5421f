import Logging
import Reactor
import SmartStack
import TestSupport
import Testing
import YAMLConfig
import ZooKeeper

@testable import NerveAgent
@testable import Registry

/// Reloads on a manual clock, with records and checks that the test holds in its hand.
@Suite @LoopActor struct ServiceSetTests {
  let clock = LoopClock.manual()
  let made = Made()
  let set: ServiceSet

  /// What the set asked for, by name, oldest first.
  @LoopActor final class Made {
    var records: [String: [FakeRecord]] = [:]
    var checks: [String: [ScriptedProbe]] = [:]
    var confirmsAtOnce = true
    var standing: Bool? = true
  }

  init() {
    let made = made
    set = ServiceSet(
      probes: { service in
        service.checks.map { _ in
          let scripted = ScriptedProbe(standing: made.standing)
          made.checks[service.name, default: []].append(scripted)
          return scripted
        }
      },
      registrar: { service in
        let record = FakeRecord()
        record.confirmsAtOnce = made.confirmsAtOnce
        made.records[service.name, default: []].append(record)
        return record.registrar(service)
      },
      drains: DrainTracker(), telemetry: NerveTelemetry(logger: silent, metrics: Metrics()), clock: clock)
  }

  private func apply(_ services: [ServiceConfiguration], bad: Set<String> = []) {
    var configuration = NerveConfiguration(instanceID: "h")
    configuration.services = services
    configuration.skipped = bad.sorted().map { ($0, ConfigError(file: "nerve.conf.json", problem: "bad")) }
    set.apply(configuration)
  }

  @Test func anUnchangedServiceKeepsItsRunner() {
    apply([service("web", checks: [check()])])
    let before = set.runners["web"]
    apply([service("web", checks: [check()]), service("new")])
    #expect(set.runners["web"] === before)
    #expect(made.records["web"]?.count == 1)
    #expect(made.records["new"]?.count == 1)
  }

  @Test func aRemovedServiceIsTakenBack() {
    apply([service("web"), service("gone")])
    apply([service("web")])
    #expect(made.records["gone"]?.first?.isClosed == true)
    #expect(made.records["web"]?.first?.isClosed == false)
  }

  @Test func aChangedServiceStaysUntilItsReplacementHasReported() throws {
    apply([service("web", weight: 1)])
    made.confirmsAtOnce = false
    apply([service("web", weight: 2)])
    let records = try #require(made.records["web"])
    #expect(records.count == 2)
    #expect(records[1].reports == [.up])
    #expect(!records[0].isClosed)
    records[1].confirm()
    #expect(records[0].isClosed)
    #expect(!records[1].isClosed)
  }

  @Test func twoChangesInARowLeaveOneRegistration() throws {
    apply([service("web", weight: 1)])
    made.confirmsAtOnce = false
    apply([service("web", weight: 2)])
    apply([service("web", weight: 3)])
    let records = try #require(made.records["web"])
    #expect(records.map(\.isClosed) == [false, false, false])
    records[1].confirm()
    #expect(records.map(\.isClosed) == [false, false, false])
    records[2].confirm()
    #expect(records.map(\.isClosed) == [true, true, false])
  }

  @Test func aServiceRemovedWhileBeingReplacedLeavesNothing() throws {
    apply([service("web", weight: 1)])
    made.confirmsAtOnce = false
    apply([service("web", weight: 2)])
    apply([])
    #expect(made.records["web"]?.map(\.isClosed) == [true, true])
    #expect(set.running.isEmpty)
  }

  @Test func otherChecksTakeTheRegistrationOver() throws {
    apply([service("web", checks: [check()])])
    made.standing = nil
    apply([service("web", checks: [check(rise: 3)])])
    #expect(made.records["web"]?.count == 1)
    let record = try #require(made.records["web"]?.first)
    // Nothing is reported before the new check has answered: the registration stands meanwhile.
    #expect(record.reports == [.up])
    #expect(!record.isClosed)
  }

  @Test func aBadServiceStaysAsItWas() {
    apply([service("web"), service("other")])
    let before = set.runners["web"]
    apply([service("other")], bad: ["web"])
    #expect(set.runners["web"] === before)
    #expect(made.records["web"]?.first?.isClosed == false)
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
    #expect(made.records["stays"]?.first?.reports.last == .down)
    // The session's end takes this one back.
    #expect(made.records["goes"]?.first?.reports.last == .up)
  }
}
