import Hacheck
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import NerveAgent
@testable import Registry

@Suite struct HTTPVerdictTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var status: Int
    var body = "ok"
    var expect: String?
    var passed: Bool
    var detail: String
    var testDescription: String { "\(status) \(body) \(expect ?? "")" }
  }

  static let cases = [
    Case(status: 200, passed: true, detail: "HTTP 200"),
    Case(status: 399, passed: true, detail: "HTTP 399"),
    Case(status: 199, passed: false, detail: "HTTP 199: ok"),
    Case(status: 400, passed: false, detail: "HTTP 400: ok"),
    Case(
      status: 503, body: "Service web in down state\nmore", passed: false, detail: "HTTP 503: Service web in down state"
    ),
    Case(status: 503, body: "", passed: false, detail: "HTTP 503"),
    Case(status: 200, body: "all is ok here", expect: "is ok", passed: true, detail: "HTTP 200"),
    Case(status: 200, body: "all is o", expect: "ok", passed: false, detail: "HTTP 200 without 'ok' in its body"),
    Case(status: 200, body: "", expect: "", passed: true, detail: "HTTP 200"),
    Case(status: 500, body: "ok", expect: "ok", passed: false, detail: "HTTP 500: ok"),
  ]

  @Test("answers", arguments: cases) func answers(_ c: Case) {
    let seen = HTTPCheck.judge(status: c.status, body: Array(c.body.utf8), expect: c.expect)
    #expect(seen.passed == c.passed)
    #expect(seen.detail == c.detail)
  }
}

/// The hacheck inside nerve, with a spool of its own and no port taken.
@Suite @LoopActor struct EmbeddedHacheckTests {
  let spool = TemporaryDirectory()
  let metrics = Metrics()

  private func embedded(port: Int = 0, address: String = "127.0.0.1") -> EmbeddedHacheck {
    var configuration = HacheckConfiguration()
    configuration.ports = [port]
    configuration.bindAddress = address
    configuration.spoolRoot = spool.path
    configuration.allowsSpoolChanges = true
    configuration.hostAddress = "10.9.8.7"
    return EmbeddedHacheck(configuration: configuration, clock: .system, logger: silent, metrics: metrics)
  }

  private func settings(
    _ uri: String = "/spool/web.main/31000/status", host: String = "127.0.0.1", port: Int = 6666,
    headers: [HTTPCheckSettings.Header] = [], tls: Bool = false
  ) -> HTTPCheckSettings {
    HTTPCheckSettings(
      host: host, port: port, uri: uri, usesTLS: tls, openTimeout: .seconds(5), handshakeTimeout: .seconds(1),
      readTimeout: .seconds(5), headers: headers, expect: nil)
  }

  @Test func whichAddressesAreOurs() {
    let everywhere = embedded(port: 6666, address: "0.0.0.0")
    for host in ["127.0.0.1", "localhost", "127.1.2.3", "10.9.8.7"] {
      #expect(everywhere.isOwn(host: host, port: 6666))
    }
    #expect(!everywhere.isOwn(host: "10.0.0.99", port: 6666))
    #expect(!everywhere.isOwn(host: "127.0.0.1", port: 6667))
    let local = embedded(port: 6666, address: "127.0.0.1")
    for host in ["127.0.0.1", "localhost"] { #expect(local.isOwn(host: host, port: 6666)) }
    for host in ["127.0.0.2", "10.9.8.7", "::1"] { #expect(!local.isOwn(host: host, port: 6666)) }
  }

  @Test func onlyHealthQuestionsBecomeCalls() {
    let hacheck = embedded(port: 6666)
    func isCall(_ settings: HTTPCheckSettings) -> Bool {
      HacheckCheck(name: "a", settings: settings, embedded: hacheck, clock: .system) != nil
    }
    #expect(isCall(settings()))
    #expect(isCall(settings("/http/web.main/31000/status?x=1")))
    #expect(!isCall(settings("/status")))
    #expect(!isCall(settings("/recent")))
    #expect(!isCall(settings(tls: true)))
    #expect(!isCall(settings(host: "10.0.0.99")))
    #expect(!isCall(settings(port: 80)))
  }

  @Test func aMarkIsSeenThroughTheCheckThatAsksAboutIt() async throws {
    let hacheck = embedded(port: 6666)
    try hacheck.service.open()
    defer { hacheck.service.stop() }
    let here = try #require(HacheckCheck(name: "a", settings: settings(), embedded: hacheck, clock: .system))
    let other = try #require(
      HacheckCheck(
        name: "b", settings: settings(headers: [.init(name: "X-Nerve-Check-IP", value: "10.1.1.1")]),
        embedded: hacheck, clock: .system))
    #expect(here.mark == nil)
    for scope in [SpoolScope.everything, .service("web.main"), .instance(service: "web.main", host: nil, port: 31000)] {
      try await hacheck.service.markDown(scope, reason: "r")
      #expect(here.mark?.scope == scope)
      try await hacheck.service.markUp(scope)
      #expect(here.mark == nil)
    }
    try await hacheck.service.markDown(.instance(service: "web.main", host: "10.1.1.1", port: 31000), reason: "r")
    #expect(here.mark == nil)
    #expect(other.mark?.reason == "r")
    try await hacheck.service.markDown(.instance(service: "web.main", host: nil, port: 31001), reason: "r")
    #expect(here.mark == nil)
  }

  @Test func drainsReachTheServicesTheyCoverAndNoOthers() async throws {
    let hacheck = embedded(port: 6666)
    try hacheck.service.open()
    defer { hacheck.service.stop() }
    let tracker = DrainTracker()
    let observation = hacheck.service.onSpoolChange { tracker.spoolChanged($0) }
    defer { observation.cancel() }
    let (clock, telemetry) = (LoopClock.manual(), NerveTelemetry(logger: silent, metrics: metrics))
    let runners = try [("web.main", 31000), ("web.main", 31001), ("geo.main", 31000)].map { name, port in
      let uri = "/spool/\(name)/\(port)/status"
      let check = try #require(
        HacheckCheck(name: "a", settings: settings(uri), embedded: hacheck, clock: .system))
      let runner = ServiceRunner(
        service("\(name)-\(port)", checks: [NerveAgentTests.check()]), checks: [check],
        registrar: FakeRecord().registrar(), schedule: CheckSchedule(clock: clock), telemetry: telemetry, clock: clock)
      tracker.follow(runner, checks: [check])
      return runner
    }
    func drained() -> [Bool] { runners.map(\.isDrained) }
    try await hacheck.service.markDown(.instance(service: "web.main", host: nil, port: 31001), reason: "r")
    try await eventually("one instance is drained") { drained() == [false, true, false] }
    try await hacheck.service.markDown(.service("web.main"), reason: "r")
    try await eventually("a service is drained") { drained() == [true, true, false] }
    try await hacheck.service.markUp(.service("web.main"))
    try await eventually("the instance still is") { drained() == [false, true, false] }
    try await hacheck.service.markDown(.everything, reason: "r")
    try await eventually("everything is drained") { drained() == [true, true, true] }
    tracker.forget(runners[0])
    try await hacheck.service.markUp(.everything)
    try await eventually("a forgotten service hears nothing more") { drained() == [true, true, false] }
  }
}
