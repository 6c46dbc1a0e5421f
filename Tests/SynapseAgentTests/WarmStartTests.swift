import Reactor
import SmartStack
import TestSupport
import Testing
import ZooKeeper

@testable import Registry
@testable import SynapseAgent

/// What an earlier agent has read, used by the next one: with servers from 3.6, and with those before.
@Suite("warm start", .timeLimit(.minutes(3 * patience))) @LoopActor struct WarmStartTests {
  /// A registry with three registrations, two of which have names of their own for ever.
  private static func withRegistry(
    isOld: Bool, _ body: (ZooKeeperClient, CuttingProxy) async throws -> Void
  ) async throws {
    let server = try ZooKeeperServer()
    try await server.start()
    let proxy = try CuttingProxy(serverPort: server.port)
    if isOld { proxy.pretendOldServer() }
    let client = ZooKeeperClient(ensemble: try ServerList([server.connection]), logger: Journal().logger)
    client.start()
    let outcome: Result<Void, any Error>
    do {
      #expect(await client.connects(within: .seconds(60)))
      for name in ["a", "b"] {
        try await client.create("/svc/web/\(name)_", data: data(name), mode: .persistentSequential)
      }
      try await client.create("/svc/web/fixed_1", data: data("fixed"))
      outcome = .success(try await body(client, proxy))
    } catch {
      outcome = .failure(error)
    }
    await client.close()
    proxy.stop()
    await server.kill()
    try outcome.get()
  }

  private static func data(_ name: String, weight: Int? = nil) -> [UInt8] {
    RegistrationCodec.payload(Backend(name: name, host: "10.0.0.1", port: 80, weight: weight))
  }

  /// Watches with a clock that stands still until it is advanced; returns at the first publication.
  private static func watch(
    _ path: String, by proxy: CuttingProxy, clock: LoopClock, known: [UInt64: Backend]
  ) async throws -> WatchedService {
    let watched = try WatchedService(
      "discovery: {method: zookeeper, hosts: ['\(proxy.connection)'], path: \(path)}\nuse_previous_backends: false\n",
      clock: clock, known: known)
    try await eventually("the first publication") {
      clock.advance(by: .zero)
      return !watched.snapshots.isEmpty
    }
    return watched
  }

  /// What the agent before would have noted of `/svc/web`.
  private static func known(by proxy: CuttingProxy) async throws -> [UInt64: Backend] {
    let before = try await watch("/svc/web", by: proxy, clock: .manual(), known: [:])
    try await before.stop()
    let servers = before.snapshots.last?.backends ?? []
    #expect(servers.count == 3 && servers.allSatisfy { ($0.origin == nil) == ($0.name == "fixed") })
    return Dictionary(servers.compactMap { server in server.origin.map { ($0, server) } }) { first, _ in first }
  }

  private static func weights(_ watched: WatchedService) -> [String: Int] {
    let servers = watched.snapshots.last?.backends ?? []
    return Dictionary(servers.map { ($0.name ?? "", $0.weight ?? 0) }) { $0 + $1 }
  }

  @Test("servers before 3.6", arguments: [false, true])
  func whatIsKnownIsUsedAfterTheListAndReadLater(_ isOld: Bool) async throws {
    try await Self.withRegistry(isOld: isOld) { client, proxy in
      let (known, clock) = (try await Self.known(by: proxy), LoopClock.manual())
      try await client.set("/svc/web/a_0000000000", to: Self.data("a", weight: 5))
      try await client.set("/svc/web/fixed_1", to: Self.data("fixed", weight: 6))
      try await client.delete("/svc/web/b_0000000001")
      try await client.create("/svc/web/c_", data: Self.data("c", weight: 7), mode: .persistentSequential)
      let watched = try await Self.watch("/svc/web", by: proxy, clock: clock, known: known)
      // What another node can have the name of, and what is new, is read first; what has gone does not show.
      #expect(Self.weights(watched) == ["a": 0, "fixed": 6, "c": 7] && watched.snapshots.count == 1)
      clock.advance(by: .seconds(10))
      try await eventually("the changed payload is read") {
        clock.advance(by: .milliseconds(1))
        return Self.weights(watched) == ["a": 5, "fixed": 6, "c": 7]
      }
      // From now on it is watched like the others.
      try await client.set("/svc/web/a_0000000000", to: Self.data("a", weight: 8))
      try await client.delete("/svc/web/fixed_1")
      try await eventually("further changes") {
        clock.advance(by: .milliseconds(1))
        return Self.weights(watched) == ["a": 8, "c": 7]
      }
      try await watched.stop()
    }
  }

  /// A service whose registrations are those of before is not published again for having been read.
  @Test("servers before 3.6", arguments: [false, true])
  func whatIsTheSameIsPublishedOnce(_ isOld: Bool) async throws {
    try await Self.withRegistry(isOld: isOld) { client, proxy in
      let (known, clock) = (try await Self.known(by: proxy), LoopClock.manual())
      let watched = try await Self.watch("/svc/web", by: proxy, clock: clock, known: known)
      #expect(Self.weights(watched).count == 3)
      let reads = proxy.count(CuttingProxy.getData) + proxy.count(CuttingProxy.multiRead)
      clock.advance(by: .seconds(10))
      try await eventually("they are read") {
        proxy.count(CuttingProxy.getData) + proxy.count(CuttingProxy.multiRead) > reads
      }
      try await client.create("/svc/web/c_", data: Self.data("c"), mode: .persistentSequential)
      try await eventually("the next change") {
        clock.advance(by: .milliseconds(1))
        return Self.weights(watched).count == 4
      }
      #expect(watched.snapshots.count == 2)
      try await watched.stop()
    }
  }

  /// Numbers begin again in each directory, so names are the same there.
  @Test func anotherDirectoryIsReadFirst() async throws {
    try await Self.withRegistry(isOld: false) { client, proxy in
      let known = try await Self.known(by: proxy)
      for name in ["a", "b"] {
        try await client.create("/svc/other/\(name)_", data: Self.data(name, weight: 9), mode: .persistentSequential)
      }
      let watched = try await Self.watch("/svc/other", by: proxy, clock: .manual(), known: known)
      #expect(Self.weights(watched) == ["a": 9, "b": 9])
      try await watched.stop()
    }
  }

  @Test func theStateFileIsServedFirstAndComparedLater() async throws {
    try await World.with { world in
      let configuration = world.configuration()
      try await world.startProxyAndAgent(configuration)
      try await world.register("one", port: world.startTask("one"))
      try await eventually("one answers") { await world.request() == "one" }
      await world.synapse?.stop()
      let path = world.proxy.path + "/state.json"
      let state = String(decoding: try Files.read(path, limit: 1 << 20), as: UTF8.self)
      #expect(state.contains(#", "weight": null"#) && state.contains(#", "registration": ""#), "\(state)")
      let other = state.replacingOccurrence(of: #"weight": null"#, with: #"weight": 7"#)
      try Files.write(Array(other.utf8), to: path, mode: 0o644, sync: false)
      try await world.startAgent(configuration)
      @LoopActor func weights() -> [Int?]? { world.synapse?.status.services.first?.snapshot?.backends.map(\.weight) }
      try await eventually("what the file has") { weights() == [7] }
      try await eventually("what the registry has") { weights() == [nil] }
      #expect(await world.request() == "one")
    }
  }

  @Test("a state file", arguments: ["{\"web\": {\"x\"", "[]", "\u{0}"])
  func aStateFileThatIsNoneIsNamedAndIgnored(_ text: String) async throws {
    try await World.with { world in
      let path = world.proxy.path + "/state.json"
      try Files.write(Array(text.utf8), to: path, mode: 0o644, sync: false)
      try await world.startProxyAndAgent(world.configuration())
      let words = "state file ignored path=\(path) reason=it is not a state file"
      #expect(world.journal.lines.count { $0.contains(words) } == 1)
      try await world.register("one", port: world.startTask("one"))
      try await eventually("one answers") { await world.request() == "one" }
    }
  }
}
