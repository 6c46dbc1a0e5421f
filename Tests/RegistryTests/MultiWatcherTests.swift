import Logging
import Reactor
import SmartStack
import TestSupport
import Testing
import ZooKeeper

@testable import Registry

@Suite("multi discovery", .timeLimit(.minutes(3 * patience))) struct MultiWatcherTests {
  private func reading(_ servers: String, config: String? = nil) -> RegistryReading {
    RegistryReading(
      backends: servers.map { Backend(name: String($0), host: "10.0.0.1", port: 80) },
      generatorConfig: config)
  }

  @Test func unionIsAllInOrderOnce() throws {
    let result = try #require(
      MultiWatcher.merge(
        ["one": reading("ab"), "two": reading("bc", config: "{}")], order: ["two", "one"], by: .union))
    #expect(result.backends.compactMap(\.name).joined() == "bca")
    #expect(result.generatorConfig == "{}")
  }

  @Test func sequentialIsTheFirstThatHasAny() throws {
    let readings = ["one": reading("", config: "{}"), "two": reading("c")]
    let order = ["one", "two"]
    let first = try #require(
      MultiWatcher.merge(readings, order: order, by: .sequential(["one", "two"])))
    #expect(first.backends.compactMap(\.name) == ["c"])
    #expect(first.generatorConfig == "{}")
    let none = MultiWatcher.merge(["one": reading("")], order: order, by: .sequential(["two", "one"]))
    #expect(none?.backends.isEmpty == true)
  }

  @Test func theToggleChoosesOne() throws {
    let toggle = MultiResolver.toggle(ToggleConfiguration(place: "/x", source: .file("/x"), interval: .seconds(1)))
    let readings = ["one": reading("a")]
    let order = ["one", "two"]
    let one = MultiWatcher.merge(readings, order: order, by: toggle, chosen: "one")
    #expect(one?.backends.compactMap(\.name) == ["a"])
    #expect(MultiWatcher.merge(readings, order: order, by: toggle, chosen: "two") == nil)
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

  @Test("a file without usable weights is refused", arguments: ["", "[]", "primary: -1", "primary: much", "a: [", "3"])
  func badWeights(_ text: String) {
    #expect(throws: (any Error).self) {
      try WatcherWeights(Array(text.utf8), file: "weights").pick(at: 0.5, of: ["primary"])
    }
  }

  @Test @LoopActor func aSilentPartDoesNotHoldTheOthersBackForEver() async throws {
    final class Silent: RegistryWatcher {
      func run(_ deliver: @escaping @LoopActor (RegistryReading) -> Void) async throws { await untilCancelled() }
    }
    final class Speaking: RegistryWatcher {
      func run(_ deliver: @escaping @LoopActor (RegistryReading) -> Void) async throws {
        deliver(RegistryReading(backends: [Backend(host: "10.0.0.1", port: 1)]))
        await untilCancelled()
      }
    }
    let clock = LoopClock.manual()
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let metrics = Metrics()
    let environment = WatchEnvironment(
      service: "web", readers: .init(clock: clock, logger: logger, metrics: metrics), clock: clock,
      logger: logger, metrics: metrics, settle: .zero, increment: { _, _ in }, makePolicy: { _, _ in { $0 } })
    let watcher = MultiWatcher(
      parts: [("silent", Silent()), ("speaking", Speaking())], resolver: .union, patience: .seconds(10),
      environment: environment)
    var published: [RegistryReading] = []
    let task = Task { @LoopActor in try await watcher.run { published.append($0) } }
    let start = clock.now
    try await eventually("the one that speaks is published") {
      clock.advance(by: .milliseconds(100))
      return !published.isEmpty
    }
    #expect(clock.now - start >= .seconds(9))
    #expect(published.map(\.backends.count) == [1])
    task.cancel()
    try await task.value
  }
}
