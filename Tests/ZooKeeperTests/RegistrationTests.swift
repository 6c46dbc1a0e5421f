import Reactor
import SmartStack
import TestSupport
import Testing

@testable import ZooKeeper

@Suite(.serialized, .timeLimit(.minutes(3))) struct RegistrationTests {
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
      let node = client.want(Self.web)
      let done = Gate()
      Task {
        await node.withdraw()
        done.open()
      }
      #expect(node.state == .pending)
      server.resume()
      await done.wait()
      #expect(node.state == .withdrawn)
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
      var states: [WantedNode.State] = []
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
        try await other.set(second, "stolen".bytes)
        return try await other.read(second) == Self.web.data
      }
      #expect(try await other.children(Self.web.directory)?.count == 1)
    }
  }

  @Test @LoopActor func aFightIsNotFoughtAtFullSpeed() async throws {
    try await withServer { world, _ in
      let client = try await world.client()
      let vandal = try await world.client()
      _ = try await registered(client.want(Self.web))
      let end = LoopClock.system.now + .seconds(2)
      while LoopClock.system.now < end {
        for name in try await vandal.children(Self.web.directory) ?? [] {
          try await vandal.delete(Self.web.directory + "/" + name)
        }
      }
      #expect(try await vandal.childChanges(Self.web.directory) < 40)
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
      try await eventually("made anew by its heir") {
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
        try await stranger.set(path, [])
      }
      let friend = try await world.client(credentials: ZooKeeperCredentials(secret: "nerve:secret"))
      try await friend.set(path, Self.web.data)
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
      var lists: [DirectoryEvent] = []
      let token = inside.watchDirectory(Self.web.directory) { lists.append($0) }
      try await eventually("seen") { lists.last == .children(["host1_0000000000"]) }
      token.cancel()
    }
  }
}
