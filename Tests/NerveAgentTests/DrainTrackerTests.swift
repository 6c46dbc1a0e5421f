import Glibc
import Hacheck
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import NerveAgent
@testable import Registry

@Suite @LoopActor struct DrainTrackerTests {
  let spool = TemporaryDirectory()
  let metrics = Metrics()

  @Test func drainsReachTheServicesTheyCoverAndNoOthers() async throws {
    var configuration = HacheckConfiguration()
    (configuration.ports, configuration.bindAddress, configuration.spoolRoot) = ([6666], "127.0.0.1", spool.path)
    let hacheck = EmbeddedHacheck(configuration: configuration, clock: .system, logger: silent, metrics: metrics)
    try hacheck.service.open()
    defer { hacheck.service.stop() }
    let tracker = DrainTracker()
    let stopObserving = hacheck.service.onSpoolChange { tracker.spoolChanged($0) }
    defer { stopObserving() }
    let (clock, telemetry) = (LoopClock.manual(), NerveTelemetry(logger: silent, metrics: metrics))
    let runners = try [("web.main", 31000), ("web.main", 31001), ("geo.main", 31000)].map { name, port in
      let check = #""type": "http", "host": "127.0.0.1", "port": 6666, "uri": "/spool/\#(name)/\#(port)/status""#
      let services = try load(serviceText(#""checks": [{\#(check)}]"#)).services
      let settings = try #require(services.first?.checks.first?.settings)
      let probe = try #require(hacheck.probe(for: settings))
      let runner = ServiceRunner(
        service("\(name)-\(port)", checks: [NerveAgentTests.check()]), probes: [probe],
        registrar: FakeRecord().registrar(), schedule: CheckSchedule(clock: clock), telemetry: telemetry, clock: clock)
      tracker.follow(runner, probes: [probe])
      return runner
    }
    func drained() -> [Bool] { runners.map(\.isDrained) }
    writeFile(spool.path + "/web.main:31001", "r")
    try await eventually("one instance is drained") { drained() == [false, true, false] }
    writeFile(spool.path + "/web.main", "r")
    try await eventually("a service is drained") { drained() == [true, true, false] }
    unlink(spool.path + "/web.main")
    try await eventually("the instance still is") { drained() == [false, true, false] }
    writeFile(spool.path + "/all", "r")
    try await eventually("everything is drained") { drained() == [true, true, true] }
    tracker.forget(runners[0])
    unlink(spool.path + "/all")
    try await eventually("a forgotten service hears nothing more") { drained() == [true, true, false] }
  }
}
