import Reactor
import SmartStack
import TestSupport
import Testing

@testable import Registry
@testable import ZooKeeper

/// `discovery_jitter`: a fleet does not read a rolling deploy task by task.
@Suite(.timeLimit(.minutes(2 * patience))) @LoopActor struct DiscoveryJitterTests {
  @Test func newRegistrationsAreReadTogetherAfterTheJitter() async throws {
    let server = try ZooKeeperServer(tick: .seconds(1))
    try await server.start()
    let ensemble = try ServerList([server.connection])
    let writer = ZooKeeperClient(ensemble: ensemble, logger: silent)
    writer.start()
    try await eventually("the writer is connected") { writer.isConnected }
    func register(_ port: Int) async throws -> String {
      try await writer.create("/d/h\(port)", data: Array("{\"host\": \"10.0.0.1\", \"port\": \(port)}".utf8))
    }
    _ = try await register(1)
    let (clock, metrics) = (LoopClock.manual(), Metrics())
    let readers = ZooKeeperReaders(logger: silent, metrics: metrics)
    let requests = ZooKeeperMetrics(metrics, ensemble: ensemble.description).requests
    var discovery = ZooKeeperDiscovery(ensemble: ensemble, path: "/d")
    discovery.jitter = .seconds(5)
    let watcher = discovery.makeWatcher(
      in: WatchEnvironment(
        service: "web", readers: readers, clock: clock, logger: silent, metrics: metrics, settle: .zero,
        increment: { _, _ in }, makePolicy: { _, _ in { $0 } }))
    var ports: [Int] = []
    let task = Task { @LoopActor in try await watcher.run { ports = $0.backends.map(\.port).sorted() } }
    try await eventually("the first reading does not wait") {
      clock.advance(by: .zero)
      return ports == [1]
    }
    let before = requests[.read]?.value
    for port in 2...4 { _ = try await register(port) }
    try await writer.delete("/d/h1")
    let names = requests[.list]?.value
    // Whatever the events bring in the meantime, nothing is read before the time has come.
    try await eventually("the events have arrived") {
      clock.advance(by: .milliseconds(1))
      return ZooKeeperMetrics(metrics, ensemble: ensemble.description).watchEvents.value >= 4
    }
    #expect(requests[.read]?.value == before && requests[.list]?.value == names)
    clock.advance(by: .seconds(5))
    try await eventually("all that came are known") {
      clock.advance(by: .milliseconds(1))
      return ports == [2, 3, 4]
    }
    #expect(try #require(requests[.read]).value - (before ?? 0) == 1, "three registrations in one request")
    task.cancel()
    try await task.value
    await readers.closeAll()
    await writer.close()
  }
}
