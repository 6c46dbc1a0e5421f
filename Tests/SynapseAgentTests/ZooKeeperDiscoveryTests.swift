import Logging
import Reactor
import SmartStack
import TestSupport
import Testing
import ZooKeeper

@testable import Registry
@testable import SynapseAgent

/// A ZooKeeper and somebody who writes into it.
@LoopActor private final class Registry {
  let server: ZooKeeperServer
  let client: ZooKeeperClient

  init() async throws {
    server = try ZooKeeperServer()
    try await server.start()
    client = ZooKeeperClient(
      ensemble: try ServerList([server.connection]),
      logger: Logger(label: "registrar") { _ in SwiftLogNoOpLogHandler() })
    client.start()
    try await eventually("connected") { if case .connected = self.client.state { true } else { false } }
  }

  func register(_ name: String, _ host: String, _ port: Int = 80) async throws {
    try await client.create(
      "/svc/web/\(name)", data: RegistrationCodec.payload(Backend(name: name, host: host, port: port)))
  }

  func end() async {
    await client.close()
    await server.kill()
  }
}

@Suite("thousands of changes", .timeLimit(.minutes(3 * patience))) struct MassChangeTests {
  @LoopActor private final class Seen { var isEmpty = false }

  @Test @LoopActor func thoseOfOneMomentAreOnePublication() async throws {
    let registry = try await Registry()
    let count = 2000
    for number in 0..<count { try await registry.register("s\(number)", "10.0.\(number / 250).\(1 + number % 250)") }
    let clock = LoopClock.manual()
    let watched = try WatchedService(
      "discovery: {method: zookeeper, hosts: ['\(registry.server.connection)'], path: /svc/web}\n"
        + "use_previous_backends: false\n", clock: clock)
    try await eventually("the first publication is whole") {
      clock.advance(by: .zero)
      return watched.servers?.count == count
    }
    #expect(watched.snapshots.count == 1)
    // The same client tells both of the directory's list.
    let client = try #require(watched.readers.all.values.first)
    let seen = Seen()
    let token = client.watchDirectory("/svc/web") { event in
      if case .children(let names) = event { seen.isEmpty = names.isEmpty }
    }
    // All under way at once: the reader's clock stands still, and with it what keeps its session alive.
    let deletions = (0..<count).map { number in
      Task.immediate { @LoopActor in try await registry.client.delete("/svc/web/s\(number)") }
    }
    for deletion in deletions { try await deletion.value }
    try await eventually("the directory is empty") { seen.isEmpty }
    #expect(watched.snapshots.count == 1)
    clock.advance(by: .seconds(1))
    #expect(watched.snapshots.count == 2 && watched.servers == [])
    token.cancel()
    try await watched.stop()
    await registry.end()
  }
}

@Suite("polled and resolved ZooKeeper", .timeLimit(.minutes(3 * patience))) struct ZooKeeperDiscoveryTests {
  @Test @LoopActor func polledWithoutWatches() async throws {
    let registry = try await Registry()
    try await registry.register("a", "10.0.0.1")
    try await registry.client.set("/svc/web", to: Array(#"{"haproxy": {"port": 1}}"#.utf8))
    try await registry.client.create("/svc/web/bad", data: Array("{".utf8))
    let payload = RegistrationCodec.payload(Backend(name: "p", host: "10.0.0.7", port: 7))
    try await registry.client.create("/svc/web/\(RegistrationCodec.pathEncodedName(payload: payload))0000000003")
    let watched = try WatchedService(
      """
      discovery:
        method: zookeeper_poll
        hosts: ["\(registry.server.connection)"]
        path: /svc/web
        generator_config_path: /svc/web
        polling_interval_sec: 0.5
      """)
    try await eventually("both are there") { Set(watched.servers ?? []) == ["a_10.0.0.1:80", "p_10.0.0.7:7"] }
    #expect(watched.snapshots.last?.generatorConfig == #"{"haproxy": {"port": 1}}"#)
    #expect(watched.snapshots.last?.backends.first { $0.name == "p" }?.id == 3)
    try await watched.logs("registration skipped reason=the data (1 byte) is not JSON")
    #expect(await registry.server.fourLetters("wchs").contains("Total watches:0"))
    try await registry.client.set(
      "/svc/web/a", to: RegistrationCodec.payload(Backend(name: "a", host: "10.0.0.1", port: 81)))
    try await eventually("a changed payload is seen") { watched.servers?.contains("a_10.0.0.1:81") == true }
    let before = watched.snapshots
    await registry.server.kill()
    try await watched.logs("registry query failed, last answer kept")
    #expect(watched.snapshots == before)
    try await registry.server.start()
    try await watched.logs("registry query succeeded again")
    try await watched.stop()
    await registry.end()
  }

  @Test @LoopActor func registeredNamesAreResolved() async throws {
    let registry = try await Registry()
    let dns = try DNSServer()
    try await dns.start(["one.test": ["10.0.0.1", "10.0.0.2"], "two.test": ["10.0.1.1"]])
    try await registry.register("a", "one.test")
    let watched = try WatchedService(
      """
      discovery: {method: zookeeper_dns, hosts: ["\(registry.server.connection)"], path: /svc/web,
        nameserver: "\(dns.address)", check_interval: 0.2}
      backend_port_override: 8080
      """)
    try await watched.publishes(["a_10.0.0.1:8080", "a_10.0.0.2:8080"])
    try await registry.register("b", "two.test")
    try await eventually("the second is there") { watched.servers?.contains("b_10.0.1.1:8080") == true }
    await dns.kill()
    try await watched.logs("registry query failed, last answer kept")
    // Another server under a name that is known needs no name server.
    try await registry.register("c", "one.test")
    try await eventually("the third has the known addresses") {
      Set(watched.servers ?? []) == [
        "a_10.0.0.1:8080", "a_10.0.0.2:8080", "b_10.0.1.1:8080", "c_10.0.0.1:8080", "c_10.0.0.2:8080",
      ]
    }
    try await registry.client.delete("/svc/web/a")
    try await eventually("what is deregistered goes") { watched.servers?.count == 3 }
    try await watched.stop()
    await registry.end()
  }
}
