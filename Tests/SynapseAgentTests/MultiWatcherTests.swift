import Reactor
import SmartStack
import TestSupport
import Testing
import ZooKeeper

@testable import SynapseAgent

@Suite("multi discovery", .timeLimit(.minutes(3))) struct MultiWatcherTests {
  private func snapshot(_ servers: String, config: String? = nil) -> ServiceSnapshot {
    ServiceSnapshot(
      service: "x", backends: servers.map { Backend(name: String($0), host: "10.0.0.1", port: 80) },
      generatorConfig: config)
  }

  @Test func unionIsAllInOrderOnce() throws {
    let result = try #require(
      MultiWatcher.resolve(
        ["one": snapshot("ab"), "two": snapshot("bc", config: "{}")], order: ["two", "one"], .union, service: "web"))
    #expect(result.service == "web")
    #expect(result.backends.compactMap(\.name).joined() == "bca")
    #expect(result.generatorConfig == "{}")
  }

  @Test func sequentialIsTheFirstThatHasAny() throws {
    let readings = ["one": snapshot("", config: "{}"), "two": snapshot("c")]
    let order = ["one", "two"]
    let first = try #require(
      MultiWatcher.resolve(readings, order: order, .sequential(["one", "two"]), service: "web"))
    #expect(first.backends.compactMap(\.name) == ["c"])
    #expect(first.generatorConfig == "{}")
    let none = MultiWatcher.resolve(["one": snapshot("")], order: order, .sequential(["two", "one"]), service: "web")
    #expect(none?.backends.isEmpty == true)
  }

  @Test func theToggleChoosesOne() throws {
    let toggle = MultiResolver.toggle(ToggleConfiguration(source: .file("/x"), interval: .seconds(1)))
    let readings = ["one": snapshot("a")]
    let order = ["one", "two"]
    let one = MultiWatcher.resolve(readings, order: order, toggle, chosen: "one", service: "web")
    #expect(one?.backends.compactMap(\.name) == ["a"])
    #expect(MultiWatcher.resolve(readings, order: order, toggle, chosen: "two", service: "web") == nil)
  }

  @Test func weightsSplitTheHosts() throws {
    let weights = try WatcherWeights(Array("primary: 75\ncanary: 25\noff: 0\n".utf8), file: "weights")
    let names = ["primary", "canary", "off"]
    #expect(try weights.pick(at: 0, of: names) == "primary")
    #expect(try weights.pick(at: 0.749, of: names) == "primary")
    #expect(try weights.pick(at: 0.751, of: names) == "canary")
    #expect(try weights.pick(at: 0.9999, of: names) == "canary")
    #expect(throws: WatcherWeights.Problem.unknownWatcher("canary")) { try weights.pick(at: 0.9, of: ["primary"]) }
    let none = try WatcherWeights(Array("{primary: 0}".utf8), file: "weights")
    #expect(throws: WatcherWeights.Problem.noWeight) { try none.pick(at: 0.5, of: names) }
    let shares = (0..<10_000).map { StableHash("host\($0).example s3").share }
    let lower = shares.count { $0 < 0.25 }
    #expect((2_300...2_700).contains(lower) && shares.allSatisfy { (0..<1).contains($0) })
  }

  @Test("what is no file of weights", arguments: ["", "[]", "primary: -1", "primary: much", "a: [", "3"])
  func badWeights(_ text: String) {
    #expect(throws: (any Error).self) {
      try WatcherWeights(Array(text.utf8), file: "weights").pick(at: 0.5, of: ["primary"])
    }
  }

  @Test @LoopActor func aFileTogglesAndABadOneDoesNot() async throws {
    let directory = TemporaryDirectory()
    try directory.write("{\"primary\": 1, \"other\": 0}", to: "weights")
    try directory.write(#"{"host": "10.0.0.1", "port": 1}"#, to: "one/a@h.json")
    try directory.write(#"{"host": "10.0.0.2", "port": 2}"#, to: "two/a@h.json")
    let watched = try WatchedService(
      """
      discovery: {method: file, path: \(directory.path)/one}
      discovery_multi:
        watchers: {other: {method: file, path: \(directory.path)/two}}
        resolver: {method: s3_toggle, s3_url: "file://\(directory.path)/weights", s3_polling_interval_seconds: 0.1}
      """)
    try await watched.publishes(["10.0.0.1:1"])
    try directory.write("primary: 0\nother: 3\n", to: "weights")
    try await watched.publishes(["10.0.0.2:2"])
    try directory.write("primary: x\n", to: "weights")
    try await watched.logs("watcher weights cannot be used, the same watcher counts on")
    #expect(watched.servers == ["10.0.0.2:2"])
    try await watched.stop()
  }

  @Test @LoopActor func aSilentPartDoesNotHoldTheOthersBackForEver() async throws {
    final class Silent: ServiceWatcher {
      let name = "web"
      func run(_ publish: @escaping @LoopActor (ServiceSnapshot) -> Void) async throws { await untilCancelled() }
    }
    final class Speaking: ServiceWatcher {
      let name = "web"
      func run(_ publish: @escaping @LoopActor (ServiceSnapshot) -> Void) async throws {
        publish(ServiceSnapshot(service: "web", backends: [Backend(host: "10.0.0.1", port: 1)]))
        await untilCancelled()
      }
    }
    let clock = LoopClock.manual()
    let journal = Journal()
    let metrics = Metrics()
    let context = AgentContext(
      clients: .init(clock: clock, logger: journal.logger, metrics: metrics), clock: clock, logger: journal.logger,
      metrics: metrics, statsd: nil)
    let watcher = MultiWatcher(
      name: "web", parts: [("silent", Silent()), ("speaking", Speaking())], resolver: .union, patience: .seconds(10),
      context: context)
    var published: [ServiceSnapshot] = []
    let task = Task { @LoopActor in try await watcher.run { published.append($0) } }
    let start = clock.now
    try await eventually("the one that speaks is published") {
      clock.advance(by: .milliseconds(100))
      return !published.isEmpty
    }
    #expect(clock.now - start >= .seconds(9))
    #expect(published.map(\.backends.count) == [1])
    #expect(journal.contains("some watchers of the service have not been heard of"))
    task.cancel()
    try await task.value
  }
}
