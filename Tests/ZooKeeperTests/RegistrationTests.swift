import Reactor
import SmartStack
import TestSupport
import Testing

@testable import ZooKeeper

@Suite(.serialized, .timeLimit(.minutes(3 * patience))) struct RegistrationTests {
  private static let web = Registration(directory: "/smartstack/global/web.main", name: "host1_", data: "{}".bytes)

  @Test @LoopActor func everyModeIsMadeWithItsParentsAndWithdrawn() async throws {
    try await withServer { world, _ in
      let client = try await world.client()
      for mode in NodeMode.allCases {
        let node = client.want(Registration(directory: "/a/\(mode.rawValue)", name: "n", data: "x".bytes, mode: mode))
        let path = try await registered(node)
        let expected = "/a/\(mode.rawValue)/n" + (mode.isSequential ? "0000000000" : "")
        #expect(path == expected)
        #expect(try await client.read(path) == "x".bytes)
        let owner = try await client.stat(path)?.ephemeralOwner
        #expect((owner == 0) == !mode.isEphemeral)
        await node.withdraw()
        #expect(node.state == .withdrawn)
        #expect(try await client.children("/a/\(mode.rawValue)") == [])
        #expect(try await client.childChanges("/a/\(mode.rawValue)") == 2)
      }
    }
  }

  @Test @LoopActor func wantedBeforeTheStartAndBeforeTheServer() async throws {
    let server = try ZooKeeperServer()
    let world = World(server)
    let client = try await world.client(isConnected: false)
    let node = client.want(Self.web)
    #expect(node.state == .pending)
    try await server.start()
    let path = try await registered(node)
    #expect(path.hasSuffix("host1_0000000000"))
    await world.closeAll()
    #expect(node.state == .withdrawn)
    await server.kill()
  }

  @Test @LoopActor func closingTakesEphemeralNodesWithIt() async throws {
    try await withServer { world, _ in
      let observer = try await world.client()
      let client = try await world.client()
      _ = try await registered(client.want(Self.web))
      await client.close()
      #expect(client.state == .closed)
      #expect(try await observer.children(Self.web.directory) == [])
      await #expect(throws: ZooKeeperError(code: .closed, operation: "read", path: "/")) { try await client.read("/") }
    }
  }

  @Test @LoopActor func aWithdrawalOvertakesACreateUnderWay() async throws {
    try await withServer { world, server in
      let client = try await world.client(timeout: .seconds(4))
      try await client.create(Self.web.directory)
      server.pause()
      var states: [NodeState] = []
      let before = client.context.metrics.requests.mapValues(\.value)
      let node = client.want(Self.web, onChange: { states.append($0) })
      let done = OneShotEvent<Void>()
      Task {
        await node.withdraw()
        done.happen()
      }
      #expect(node.state == .pending)
      server.resume()
      try await done.wait()
      // A withdrawal that waited for the registration would have reported it, and looked at its node.
      #expect(states == [.withdrawn])
      let sent = client.context.metrics.requests.mapValues(\.value).merging(before) { $0 - $1 }
      #expect(sent[.create] == 1 && sent[.delete] == 1 && sent[.exists] == 0)
      #expect(try await client.children(Self.web.directory) == [])
    }
  }

  @Test @LoopActor func newDataIsWrittenOverTheOld() async throws {
    try await withServer { world, _ in
      let client = try await world.client()
      for mode in NodeMode.allCases {
        let node = client.want(Registration(directory: "/u", name: mode.rawValue, data: "1".bytes, mode: mode))
        let path = try await registered(node)
        node.update(data: "2".bytes)
        node.update(data: "3".bytes)
        try await eventually("written") { try await client.read(path) == "3".bytes }
        #expect(try await registered(node) == path)
        let before = try await client.stat(path)?.version ?? 0
        node.touch()
        try await eventually("touched") { try await client.stat(path)?.version ?? 0 > before }
        #expect(try await client.read(path) == "3".bytes)
      }
      #expect(try await client.childChanges("/u") == 4)
    }
  }

  @Test @LoopActor func othersNeitherDeleteNorRewrite() async throws {
    try await withServer { world, _ in
      let client = try await world.client()
      let other = try await world.client()
      var states: [NodeState] = []
      let node = client.want(Self.web, onChange: { states.append($0) })
      let first = try await registered(node)
      try await other.delete(first)
      try await eventually("made again") {
        if case .registered(let path) = node.state { path != first } else { false }
      }
      let second = try await registered(node)
      #expect(states == [.registered(path: first), .pending, .registered(path: second)])
      // The watch is set behind the report.
      try await eventually("rewritten") {
        try await other.set(second, to: "stolen".bytes)
        return try await other.read(second) == Self.web.data
      }
      #expect(try await other.children(Self.web.directory)?.count == 1)
    }
  }

  @Test @LoopActor func aNodeThatIsDeletedOverAndOverIsCreatedAgainWithGrowingPauses() async throws {
    try await withServer { world, _ in
      let clock = LoopClock.manual()
      let client = try await world.client(clock: clock)
      let vandal = try await world.client()
      let node = client.want(Self.web)
      var path = try await registered(node)
      // The first loss costs no pause.
      try await vandal.delete(path)
      try await eventually("created again at once") {
        if case .registered(let next) = node.state { next != path } else { false }
      }
      // Each pause is between half of its ceiling and all of it.
      for ceiling in [200, 400, 800] {
        path = try await registered(node)
        try await vandal.delete(path)
        try await eventually("noticed") { node.state == .pending }
        clock.advance(by: .milliseconds(ceiling / 2 - 1))
        try await loopTurns()
        #expect(try await vandal.children(Self.web.directory) == [])
        clock.advance(by: .milliseconds(ceiling / 2 + 1))
        _ = try await registered(node)
      }
      #expect(try await vandal.childChanges(Self.web.directory) == 9)
    }
  }

  @Test @LoopActor func aFixedNameThatExistsIsTakenOverAndOutlivesItsMaker() async throws {
    try await withServer { world, server in
      let old = try await world.client()
      let new = try await world.client()
      let registration = Registration(directory: "/fixed", name: "host1", data: "old".bytes, mode: .ephemeral)
      _ = try await registered(old.want(registration))
      var wanted = registration
      wanted.data = "new".bytes
      let node = new.want(wanted)
      _ = try await registered(node)
      try await eventually("rewritten") { try await new.read("/fixed/host1") == "new".bytes }
      let id = try #require(old.savedSession)
      await old.close()
      try await eventually("made again by its heir") {
        let owner = try await new.stat("/fixed/host1")?.ephemeralOwner
        return owner == new.savedSession?.id && owner != id.id
      }
      #expect(try await new.read("/fixed/host1") == "new".bytes)
      await node.withdraw()
      #expect(try await new.exists("/fixed/host1") == false)
      _ = server
    }
  }

  @Test @LoopActor func aRefusalIsReportedAndTriedAgain() async throws {
    try await withServer { world, _ in
      let client = try await world.client()
      let parent = client.want(Registration(directory: "/e", name: "parent", data: [], mode: .ephemeral))
      _ = try await registered(parent)
      let child = client.want(Registration(directory: "/e/parent", name: "n", data: []))
      try await eventually("refused") {
        if case .failed(let error) = child.state { error.code == .noChildrenForEphemerals } else { false }
      }
      await parent.withdraw()
      _ = try await registered(child)
    }
  }

  @Test @LoopActor func credentialsProtectWhatTheyMake() async throws {
    try await withServer { world, _ in
      let owner = try await world.client(
        credentials: ZooKeeperCredentials(secret: "nerve:secret", protectsNodes: true))
      let stranger = try await world.client()
      let path = try await registered(owner.want(Self.web))
      #expect(try await stranger.read(path) == Self.web.data)
      await #expect(throws: ZooKeeperError(code: .noAuth, operation: "set", path: path)) {
        try await stranger.set(path, to: [])
      }
      // The directory's data may be settings of a service; other accounts register there too.
      let directory = Self.web.directory
      await #expect(throws: ZooKeeperError(code: .noAuth, operation: "set", path: directory)) {
        try await stranger.set(directory, to: Array("{}".utf8))
      }
      try await stranger.create(directory + "/other")
      await #expect(throws: ZooKeeperError(code: .noAuth, operation: "delete", path: path)) {
        try await stranger.delete(path)
      }
      let friend = try await world.client(credentials: ZooKeeperCredentials(secret: "nerve:secret"))
      try await friend.set(path, to: Self.web.data)
    }
  }

  @Test @LoopActor func everythingLivesBelowTheChroot() async throws {
    try await withServer { world, server in
      let outside = try await world.client()
      try await outside.create("/team/a")
      let inside = try await world.client(to: server.connection + "/team/a")
      let path = try await registered(inside.want(Self.web))
      #expect(path == Self.web.directory + "/host1_0000000000")
      #expect(try await outside.exists("/team/a" + path))
      var lists: [WatchEvent] = []
      let token = inside.watchDirectory(Self.web.directory) { lists.append($0) }
      try await eventually("seen") { lists.last == .children(["host1_0000000000"]) }
      token.cancel()
    }
  }

  struct Impossible: Sendable {
    let registration: Registration
    let code: ZooKeeperError.Code
  }

  /// Each of these would, sent as it is, cost the connection or go round for ever.
  @Test(arguments: [
    Impossible(registration: Registration(directory: "/d", name: "a/b", data: []), code: .badArguments),
    Impossible(registration: Registration(directory: "/d", name: "", data: []), code: .badArguments),
    Impossible(registration: Registration(directory: "relative", name: "n", data: []), code: .badArguments),
    Impossible(registration: Registration(directory: "/d/../e", name: "n", data: []), code: .badArguments),
    Impossible(
      registration: Registration(directory: "/d", name: "n", data: Array(repeating: 0, count: 0xfffff)),
      code: .badArguments),
  ])
  @LoopActor func whatCannotBeRegisteredHarmsNothingElse(_ c: Impossible) async throws {
    try await withServer { world, _ in
      let metrics = Metrics()
      let client = try await world.client(metrics: metrics)
      let bad = client.want(c.registration)
      try await eventually("refused") { if case .failed(let error) = bad.state { error.code == c.code } else { false } }
      let good = client.want(Self.web)
      _ = try await registered(good)
      #expect(metrics.render().contains("reconnects_total{ensemble=\"\(client.ensemble.description)\"} 0"))
      await bad.withdraw()
    }
  }

  @Test @LoopActor func aMissingChrootIsARefusal() async throws {
    try await withServer { world, server in
      let client = try await world.client(to: server.connection + "/missing/root")
      let node = client.want(Self.web)
      try await eventually("refused") {
        if case .failed(let error) = node.state { error.code == .noNode } else { false }
      }
      try await world.client().create("/missing/root")
      _ = try await registered(node)
    }
  }

  @Test @LoopActor func credentialsThatAreRefusedAreTriedAgainSlowly() async throws {
    try await withServer { world, _ in
      let (metrics, clock) = (Metrics(), LoopClock.manual())
      let client = try await world.client(
        credentials: ZooKeeperCredentials(scheme: "nonsense", secret: "x"), metrics: metrics, clock: clock,
        isConnected: false)
      try await eventually("refused") { client.context.metrics.expiries.value == 1 }
      #expect(client.state == .connecting)
      // The pause is at least eight seconds: the sixth delay of a growing series.
      clock.advance(by: .seconds(7))
      try await loopTurns()
      #expect(client.context.session == nil)
      clock.advance(by: .seconds(30))
      try await eventually("refused again") { client.context.metrics.expiries.value == 2 }
    }
  }

  /// What a host with a hundred services costs the ensemble, by the server's own count.
  @Test @LoopActor func theServersCountOfWhatWeCost() async throws {
    try await withServer { world, server in
      let client = try await world.client()
      for index in 0..<100 { try await client.create("/smartstack/global/s\(index)") }
      let before = client.context.metrics.requests.mapValues(\.value)
      let nodes = (0..<100).map {
        client.want(Registration(directory: "/smartstack/global/s\($0)", name: "host1_", data: "{}".bytes))
      }
      for node in nodes { _ = try await registered(node) }
      var lists = 0
      let tokens = (0..<100).map { client.watchDirectory("/smartstack/global/s\($0)") { _ in lists += 1 } }
      try await eventually("listed") { lists == 100 }
      // One connection, one ephemeral node per service, a watch on each and on its directory.
      try await eventually("watched") { await server.count("zk_watch_count") == 200 }
      #expect(await server.count("zk_ephemerals_count") == 100)
      #expect(await server.fourLetters("dump").contains(")/(1):"))
      let sent = client.context.metrics.requests.mapValues(\.value).merging(before) { $0 - $1 }
      #expect(sent == [.create: 100, .exists: 100, .list: 100, .delete: 0, .set: 0, .read: 0, .sync: 0, .watch: 0])
      // At rest nothing but pings.
      let received = await server.count("zk_packets_received")
      for _ in 0..<10 { try await loopTurns() }
      #expect(await server.count("zk_packets_received") - received < 5)
      for token in tokens { token.cancel() }
    }
  }
}
