import HAProxyConfigGen
import Logging
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import SynapseAgent

@Suite("reload schedule") struct ReloadScheduleTests {
  private let start = ContinuousClock.now

  /// Always the same number: the dice of these tests.
  private struct Fixed: RandomNumberGenerator {
    // Stored, because ThreadSanitizer crashes on an inout value without any size.
    private var word: UInt64 = .max / 2
    mutating func next() -> UInt64 { word }
  }

  @Test func theFirstReloadNeedsNoWait() {
    let schedule = ReloadSchedule(interval: .seconds(60), jitter: 0.1)
    #expect(schedule.delay(now: start) == .zero)
  }

  @Test func reloadsAreTheIntervalApartPlusJitter() {
    var schedule = ReloadSchedule(interval: .seconds(60), jitter: 0.5)
    var dice = Fixed()
    schedule.started(now: start, using: &dice)
    schedule.succeeded()
    let delay = schedule.delay(now: start)
    #expect(delay >= .seconds(60) && delay <= .seconds(90))
    #expect(schedule.delay(now: start + .seconds(91)) == .zero)
  }

  @Test func aServiceThatChangesWithoutEndIsServedLateAndAlone() {
    var budget = ReloadBudget()
    var now = ContinuousClock.now
    var reloads = 0
    for _ in 0..<7200 {
      if budget.delay(of: "b", now: now) == .zero {
        reloads += 1
        budget.charge(["b"], now: now)
      }
      now += .seconds(1)
    }
    #expect((15...18).contains(reloads))
    #expect(budget.delay(of: "b", now: now) > .zero && budget.delay(of: "b", now: now) < .seconds(600))
    #expect(budget.delay(of: "a", now: now) == .zero && budget.delay(of: nil, now: now) == .zero)
    let delay = budget.delay(of: "b", now: now)
    #expect(budget.delay(of: "b", now: now + delay + .milliseconds(1)) == .zero)
  }

  @Test func failuresWaitLongerAndLongerUpToFiveMinutes() {
    var schedule = ReloadSchedule(interval: .seconds(2), jitter: 0)
    var dice = Fixed()
    var delays: [Duration] = []
    for _ in 0..<12 {
      schedule.started(now: start, using: &dice)
      schedule.failed(now: start, using: &dice)
      delays.append(schedule.delay(now: start))
    }
    #expect(schedule.failures == 12)
    #expect(zip(delays, delays.dropFirst()).allSatisfy { $0 <= $1 })
    #expect((delays.first ?? .zero) >= .seconds(1))
    #expect((delays.last ?? .zero) > .seconds(100) && (delays.last ?? .zero) <= .seconds(300))
    schedule.succeeded()
    #expect(schedule.failures == 0)
  }
}

@Suite("remembered servers") struct RememberedServerTests {
  @Test func aStateFileTellsServersUntilTheirTimeIsOver() throws {
    let text =
      """
      {"web": {"a_10.0.0.1:80": {"timestamp": 1000, "haproxy_server_id": 3, "name": "a", "host": "10.0.0.1",
       "port": 80, "id": 4, "weight": 5, "haproxy_server_options": null, "labels": {"x": ""}},
       "old_10.0.0.2:80": {"timestamp": 1, "name": "old", "host": "10.0.0.2", "port": 80},
       "gone_10.0.0.4:80": {"timestamp": 1000, "is_gone": true, "name": "gone", "host": "10.0.0.4", "port": 80},
       "bad": {"timestamp": 1000, "name": "bad", "host": "10.0.0.3\\nserver evil", "port": 80},
       "watcher_config_for_generator": {"port": 1}}}
      """
    let memory = try #require(ServerMemory(stateFile: Array(text.utf8)))
    let found = memory.servers(of: "web", ttl: 500, now: 1200)
    #expect(found.map(\.serverName) == ["a_10.0.0.1:80"])
    #expect(found.first?.weight == 5)
    #expect(memory.servers(of: "none", ttl: 500, now: 1200).isEmpty)
    #expect(ServerMemory(stateFile: Array("[]".utf8))?.servers(of: "web", ttl: 500, now: 0) == nil)
  }

  @Test func aRunningBackendTellsTheServersInService() {
    let backend = [
      "b_10.0.0.2:80": RunningServer(id: 2, address: "10.0.0.2", port: 80),
      "10.0.0.1:80": RunningServer(id: 1, address: "10.0.0.1", port: 80),
      "gone_10.0.0.3:80": RunningServer(id: 3, address: "10.0.0.3", port: 80, adminState: .forcedMaintenance),
      "named": RunningServer(id: 4, address: "10.0.0.4", port: 80),
    ]
    #expect(StateFile.servers(running: backend).map(\.serverName) == ["10.0.0.1:80", "b_10.0.0.2:80"])
    #expect(StateFile.servers(running: [:]).isEmpty)
  }
}

@Suite("file output", .timeLimit(.minutes(1 * patience))) struct FileOutputTests {
  @Test @LoopActor func eachServiceHasOneFileAndOthersAreRemoved() async throws {
    let directory = TemporaryDirectory()
    let path = directory.path + "/services"
    try Files.makeDirectory(path, mode: 0o755)
    for name in ["unknown.json", "silent.json", "notes.txt"] {
      try Files.write(Array("[]".utf8), to: "\(path)/\(name)", mode: 0o644, sync: false)
    }
    let output = FileOutput(
      directory: path, services: ["web", "silent"], clock: .system, logger: Journal().logger)
    output.start()
    let server = Backend(name: "a\"", host: "10.0.0.1", port: 80, id: 7, weight: 3, labels: ["region:r1": ""])
    output.apply([
      ServiceSnapshot(service: "web", backends: [server]), ServiceSnapshot(service: "hidden", backends: [server]),
    ])
    try await eventually("the unknown file goes") { !Files.exists("\(path)/unknown.json") }
    await output.stop()
    #expect(try Files.list(path).sorted() == ["notes.txt", "silent.json", "web.json"])
    let text = String(decoding: try Files.read("\(path)/web.json", limit: 1000), as: UTF8.self)
    #expect(
      text == #"[{"name":"a\"","host":"10.0.0.1","port":80,"id":7,"weight":3,"haproxy_server_options":null,"#
        + #""labels":{"region:r1":""}}]"#)
  }
}

@Suite("plans in part") struct PartialPlanTests {
  private func model(_ services: [String: [Backend]]) -> ProxyModel {
    var settings = GeneratorSettings()
    settings.global = ["daemon"]
    settings.defaults = ["mode http", "balance roundrobin"]
    let configured = zip(8000..., services.keys.sorted()).map { port, name in
      var service = ServiceSettings(service: name)
      service.port = .number(String(port))
      service.serverOptions = "check"
      return service
    }
    var model = ProxyModel(settings: settings, services: configured, memory: ServerMemory())
    for (service, backends) in services {
      model.apply(ServiceSnapshot(service: service, backends: backends), now: 0)
    }
    return model
  }

  private func servers(_ numbers: ClosedRange<Int>) -> [Backend] {
    numbers.map { Backend(name: "s\($0)", host: "10.0.0.\($0)", port: 80) }
  }

  @Test func aPartialPlanIsTheWholeOneWhenOnlyThatPartChanged() {
    let before = model(["a": servers(1...3), "b": servers(1...4)])
    let loaded = LoadedConfiguration(before)
    func running(_ numbers: ClosedRange<Int>) -> [String: RunningServer] {
      Dictionary(
        uniqueKeysWithValues: numbers.map {
          (
            "s\($0)_10.0.0.\($0):80",
            RunningServer(id: $0, address: "10.0.0.\($0)", port: 80, checkState: [.configured, .enabled])
          )
        })
    }
    let proxy = RunningProxy(version: HAProxyVersion(2, 6, 12), backends: ["a": running(1...3), "b": running(1...4)])
    var after = before
    after.apply(ServiceSnapshot(service: "b", backends: servers(2...5)), now: 1)
    let whole = Planner.plan(running: proxy, loaded: loaded, wanted: after)
    #expect(whole == Planner.plan(running: proxy, loaded: loaded, wanted: after, services: ["b"]))
    #expect(!whole.isEmpty)
    #expect(Planner.plan(running: proxy, loaded: loaded, wanted: after, services: ["a"]).isEmpty)
    var partly = loaded
    partly.update(to: after, services: ["b"])
    var wholly = loaded
    wholly.update(to: after)
    #expect(partly == wholly)
  }
}
