import Reactor
import TestSupport
import Testing

@testable import ZooKeeper

/// Servers that move, hang and come back. Addresses differ in their hosts, because libzookeeper compares no ports.
@Suite(.serialized, .timeLimit(.minutes(3 * patience))) struct ServerSearchTests {
  private static let directory = "/smartstack/global/web.main"
  private static let web = Registration(directory: directory, name: "host1_", data: "{}".bytes)

  /// A server with sessions of up to 20 s.
  @LoopActor private static func withServer(_ body: @LoopActor (World, ZooKeeperServer) async throws -> Void)
    async throws
  {
    try await ZooKeeperTests.withServer(tick: .seconds(1), body)
  }

  @Test @LoopActor func anEnsembleThatMovedBehindItsNamesKeepsItsSessions() async throws {
    try await Self.withServer { world, server in
      let address = Locked<[UInt8]>([127, 0, 0, 1])
      // The answers hold for a minute, three times as long as the session.
      let nameServer = try ScriptedNameServer { question in question.answer(address.withLock { $0 }) }
      let client = try await world.client(
        to: "zk.test:\(server.port)", timeout: .seconds(20),
        names: NameResolver(nameservers: [nameServer.endpoint], hostsFile: "/dev/null"))
      var states: [NodeState] = []
      let node = client.want(Self.web, onChange: { states.append($0) })
      let path = try await registered(node)
      let session = client.savedSession
      await server.kill()
      try await eventually("lost") { client.state == .suspended }
      address.withLock { $0 = [127, 0, 0, 2] }
      try server.move(to: "127.0.0.2")
      try await server.start()
      try await connected(client)
      #expect(client.savedSession == session)
      #expect(states == [.registered(path: path)])
      #expect(try await client.childChanges(Self.directory) == 1)
    }
  }

  /// A handle that is made for nobody would end the session that a successor is to resume.
  @Test @LoopActor func aSessionThatIsAbandonedDuringALookUpIsAskedForNoMore() async throws {
    let asked = Locked<[UInt8]>([])
    let server = LoopbackServer { peer in
      // Length, version, last change, time-out; then the session's number.
      let request = peer.receive()
      if request.count >= 28 { asked.withLock { $0.append(request[27]) } }
      peer.waitForClose()
    }
    let isAnswering = Locked(false)
    let nameServer = try ScriptedNameServer { question in
      isAnswering.withLock { $0 } ? question.answer([127, 0, 0, 1]) : nil
    }
    let names = NameResolver(nameservers: [nameServer.endpoint], hostsFile: "/dev/null")
    func client(_ number: Int64) throws -> ZooKeeperClient {
      let saved = SavedSession(id: number, password: Array(repeating: 0, count: 16))
      let client = ZooKeeperClient(
        ensemble: try ServerList(["zk.test:\(server.port)"]), logger: testLogger, savedSession: saved, names: names)
      client.start()
      return client
    }
    let first = try client(7)
    try await eventually("the name is asked for") { nameServer.questions > 0 }
    #expect(await first.abandon()?.id == 7)
    let second = try client(8)
    isAnswering.withLock { $0 = true }
    try await eventually("the other session is asked for") { asked.withLock { $0.contains(8) } }
    #expect(asked.withLock { !$0.contains(7) })
    _ = await second.abandon()
  }

  @Test @LoopActor func twoServersThatHangDoNotCostTheSession() async throws {
    try await Self.withServer { world, server in
      let hung = [2, 3].map { LoopbackServer(host: "127.0.0.\($0)") { $0.waitForClose() } }
      let addresses = [server.connection, "127.0.0.2:\(hung[0].port)", "127.0.0.3:\(hung[1].port)"]
      // libzookeeper gives each of them 13 s; from the first on the session has 20.
      let client = try await world.client(to: addresses.joined(separator: ","), timeout: .seconds(20))
      var states: [NodeState] = []
      let node = client.want(Self.web, onChange: { states.append($0) })
      let path = try await registered(node)
      let session = client.savedSession
      try await server.restart()
      try await connected(client)
      #expect(client.savedSession == session)
      #expect(states == [.registered(path: path)])
      withExtendedLifetime(hung) {}
    }
  }

  @Test @LoopActor func aServerThatComesBackIsUsedAgain() async throws {
    try await Self.withServer { world, server in
      let isServing = Locked(true)
      let other = LoopbackServer(host: "127.0.0.2") { peer in
        peer.receive(until: "srvr")
        if isServing.withLock({ $0 }) { peer.send("Zookeeper version: 3.8.0\n") } else { peer.waitForClose() }
      }
      let addresses = [server.connection, "127.0.0.2:\(other.port)"]
      var limits = ZooKeeperLimits()
      limits.serverInterval = .milliseconds(100)
      let client = try await world.client(
        to: addresses.joined(separator: ","), timeout: .seconds(20), limits: limits)
      @LoopActor func offered() -> [String]? { client.context.session?.servers?.offered }
      await server.kill()
      try await eventually("only the other is left") { offered() == [addresses[1]] }
      isServing.withLock { $0 = false }
      try await server.start()
      try await connected(client)
      isServing.withLock { $0 = true }
      try await eventually("both are back") { offered() == addresses }
    }
  }
}
