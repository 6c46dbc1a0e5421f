import SmartStack
import TestSupport
import Testing
import YAMLConfig
import ZooKeeper

@testable import NerveAgent
@testable import Registry

@Suite struct CheckScheduleTests {
  @Test func everyNameHasItsOwnMoment() {
    let fractions = (0..<10_000).map { CheckSchedule.fraction(of: "service\($0).main") }
    for tenth in 0..<10 {
      let share = fractions.count { $0 >= Double(tenth) / 10 && $0 < Double(tenth + 1) / 10 }
      #expect((900...1100).contains(share), "tenth \(tenth) has \(share) of 10,000")
    }
    #expect(CheckSchedule.fraction(of: "web.main") == CheckSchedule.fraction(of: "web.main"))
  }

  @Test(arguments: ["web", "db", "a.b", "x"]) func theFirstTickIsOnThePhaseAndNeitherSoonNorLate(_ name: String) {
    let interval = Duration.seconds(2)
    for step in 0..<40 {
      let now = Duration.milliseconds(137 * step)
      let delay = CheckSchedule.firstTick(of: name, every: interval, grain: .milliseconds(50), sinceEpoch: now)
      #expect(delay >= interval / 2 && delay <= interval * 1.5)
      let moment = (now + delay) / .milliseconds(50)
      #expect(moment == moment.rounded(), "on a common moment")
      let own = (now + delay - interval * CheckSchedule.fraction(of: name)) / interval
      #expect(own.rounded(.up) - own < 0.0251, "at most 50 ms before its own")
    }
  }

  @Test(
    arguments: [
      (2_000, 1, 100.0), (2_000, 500, 100), (2_000, 10_000, 6.25), (10_000, 10_000, 25), (100, 1, 3.125),
      (2_000, 0, 100), (60_000, 10, 100),
    ])
  func servicesShareMoments(_ interval: Int, _ count: Int, _ milliseconds: Double) {
    let grain = CheckSchedule.grain(every: .milliseconds(interval), count: count)
    #expect(grain == .microseconds(Int(milliseconds * 1000)))
  }

  @Test func manyServicesStartInBatches() {
    #expect(CheckSchedule.startDelay(index: 0) == .zero)
    #expect(CheckSchedule.startDelay(index: 499) == .zero)
    #expect(CheckSchedule.startDelay(index: 9_999) == .milliseconds(1_900))
  }
}

@Suite struct ServiceVerdictTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    /// Per check: `+` passed, `-` failed, `.` has not answered.
    var results: String
    var drained = false
    var verdict: Verdict?
    var testDescription: String { name }
  }

  static let cases = [
    Case(name: "no checks: up", results: "", verdict: .up),
    Case(name: "one good check: up", results: "+", verdict: .up),
    Case(name: "every check is needed", results: "+-", verdict: .down),
    Case(name: "one bad answer is enough, whoever is still to answer", results: ".-", verdict: .down),
    Case(name: "a good one is not", results: ".+", verdict: nil),
    Case(name: "all good: up", results: "+++", verdict: .up),
    Case(name: "drained beats good", results: "++", drained: true, verdict: .down),
    Case(name: "drained before any answer", results: "..", drained: true, verdict: .down),
  ]

  @Test("and-ing", arguments: cases) func verdicts(_ c: Case) {
    var verdict = ServiceVerdict(histories: c.results.map { _ in CheckHistory(rise: 2, fall: 2) }, now: .now)
    for (index, result) in c.results.enumerated() where result != "." {
      _ = verdict.record(check: index, passed: result == "+")
    }
    verdict.isDrained = c.drained
    #expect(verdict.now == c.verdict)
  }

  @Test func aForgottenCheckCountsItsNextAnswerAtOnce() {
    var verdict = ServiceVerdict(histories: [CheckHistory(rise: 3, fall: 1)], now: .now)
    #expect(verdict.record(check: 0, passed: false) == .down)
    #expect(verdict.record(check: 0, passed: true) == nil)
    verdict.forget(check: 0, rise: 3, fall: 1)
    #expect(verdict.now == nil)
    #expect(verdict.record(check: 0, passed: true) == .up)
  }
}

@Suite struct ReloadPlanTests {
  @Test func differences() {
    let names = ["same", "gone", "heavier", "checked", "broken"]
    let running = Dictionary(uniqueKeysWithValues: names.map { ($0, service($0)) })
    let plan = ReloadPlan(
      running: running,
      wanted: [service("new"), service("same"), service("heavier", weight: 3), service("checked", checks: [check()])],
      bad: ["broken", "badly-new"])
    #expect(plan.added.map(\.name) == ["new"])
    #expect(plan.removed == ["gone"])
    #expect(plan.changed.map(\.name) == ["checked", "heavier"])
  }

  @Test func theCopiesOfABadServiceStay() {
    var copies = [service("load_0"), service("load_1")]
    for index in copies.indices { copies[index].key = "load" }
    let running = Dictionary(uniqueKeysWithValues: copies.map { ($0.name, $0) })
    let plan = ReloadPlan(running: running, wanted: [], bad: ["load"])
    #expect(plan.added.isEmpty && plan.changed.isEmpty && plan.removed.isEmpty)
  }
}

@Suite struct ConfigurationChangeTests {
  private let current = NerveConfiguration(instanceID: "host1")

  @Test func anEqualConfigurationChangesNothing() {
    #expect(current.rejection(after: "host1") == nil)
    #expect(!current.waitsForRestart(after: current))
  }

  @Test func anotherInstanceIsRejected() throws {
    let rejection = NerveConfiguration(instanceID: "host2").rejection(after: "host1")
    #expect(try #require(rejection).hasPrefix("instance_id changed from 'host1' to 'host2'"))
  }

  @Test func registrationsThatHaveComeToAHaltAreTold() {
    var now = ContinuousClock.now
    var progress = RegistrationProgress(now: now)
    now += .seconds(1000)
    #expect(progress.stall(waiting: 0, answers: 31, now: now) == nil)
    // Thousands may take minutes, as long as some get on.
    for answers in 32..<40 {
      now += .seconds(60)
      #expect(progress.stall(waiting: 268, answers: answers, now: now) == nil)
    }
    now += .seconds(60)
    #expect(progress.stall(waiting: 268, answers: 39, now: now) == nil)
    now += .seconds(31)
    #expect(
      progress.stall(waiting: 268, answers: 39, now: now)
        == "268 registrations have waited 91 s for a registry that is connected")
    #expect(progress.stall(waiting: 0, answers: 39, now: now) == nil)
    #expect(progress.stall(waiting: 1, answers: 39, now: now) == nil)
  }

  @Test func anotherStateDirectoryWaitsForARestart() {
    var other = current
    other.stateDirectory = "/elsewhere"
    #expect(other.waitsForRestart(after: current))
    other = current
    other.heartbeatPath = "/run/beat"
    #expect(!other.waitsForRestart(after: current))
  }
}

@Suite struct RegistrationPayloadTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    var more: String
    var json: String
    var node = "host1_"
    var testDescription: String { name }
  }

  static let start = #"{"host":"10.0.0.5","port":3000,"name":"host1""#
  static let cases = [
    Case(name: "the least", more: "", json: start + "}"),
    Case(
      name: "order of the keys",
      more: #""labels": {"b": "2", "a": "1"}, "haproxy_server_options": "backup", "weight": 7"#,
      json: start + #","weight":7,"haproxy_server_options":"backup","labels":{"b":"2","a":"1"}}"#),
    Case(name: "a weight as text", more: #""weight": "20""#, json: start + #","weight":20}"#),
    Case(name: "weight zero", more: #""weight": 0"#, json: start + #","weight":0}"#),
    Case(name: "labels null", more: #""labels": null"#, json: start + #","labels":null}"#),
    Case(
      name: "labels of any kind", more: #""labels": {"n": 1, "deep": {"x": [1, null]}}"#,
      json: start + #","labels":{"n":1,"deep":{"x":[1,null]}}}"#),
    Case(
      name: "characters that JSON escapes, and those it does not",
      more: #""labels": {"städt": "z / \"q\" \\ <&>\u2028\u0001"}"#,
      json: start + #","labels":{"städt":"z / \"q\" \\ <&>"# + "\u{2028}" + #"\u0001"}}"#),
    Case(
      name: "path encoding", more: #""use_path_encoding": true"#, json: start + "}",
      node: "base64_64_eyJob3N0IjoiMTAuMC4wLjUiLCJwb3J0IjozMDAwLCJuYW1lIjoiaG9zdDEifQ==_"),
    Case(name: "the text true is not true", more: #""use_path_encoding": "true""#, json: start + "}"),
  ]

  @Test("payloads", arguments: cases) func payload(_ c: Case) throws {
    let configuration = try load(serviceText(c.more))
    #expect(configuration.problems.map(\.description) == [])
    let registration = try #require(configuration.services.first?.registry.zooKeeper?.registration)
    #expect(String(decoding: registration.data, as: UTF8.self) == c.json)
    #expect(registration.name == c.node)
    #expect(registration.mode == .ephemeralSequential)
  }

  @Test func aPortGivenAsTextStaysText() throws {
    let text = serviceText("").replacing("\"port\": 3000", with: "\"port\": \"3000\"")
    let service = try #require(try load(text).services.first)
    #expect(service.port == 3000)
    let registration = try #require(service.registry.zooKeeper?.registration)
    #expect(String(decoding: registration.data, as: UTF8.self).contains(#""port":"3000""#))
  }

  @Test func tooLongForAName() throws {
    let long = String(repeating: "x", count: 50_000)
    let service = try #require(
      try load(serviceText(#""use_path_encoding": true, "labels": {"l": "\#(long)"}"#)).services.first)
    #expect(service.registry.zooKeeper?.registration.name == "host1_")
  }
}
