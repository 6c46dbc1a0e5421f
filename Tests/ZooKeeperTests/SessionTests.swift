import Reactor
import SmartStack
import TestSupport
import Testing

@testable import ZooKeeper

/// Servers that hang, die and come back, and sessions that end.
@Suite(.serialized, .timeLimit(.minutes(3 * patience))) struct SessionTests {
  private static let directory = "/smartstack/global/web.main"
  private static let web = Registration(directory: directory, name: "host1_", data: "{}".bytes)

  @Test @LoopActor func aPauseShorterThanTheSessionIsNotNoticed() async throws {
    try await withServer { world, server in
      let client = try await world.client()
      var states: [NodeState] = []
      let node = client.want(Self.web, onChange: { states.append($0) })
      let path = try await registered(node)
      // The watch is set behind the report; the write would wait for it.
      try await eventually("watched") { await server.count("zk_watch_count") == 1 }
      server.pause()
      node.update(data: "new".bytes)
      try await eventually("the write is sent") { client.context.metrics.requests[.set]?.value == 1 }
      server.resume()
      try await eventually("written") { try await client.read(path) == "new".bytes }
      #expect(states == [.registered(path: path)])
    }
  }

  @Test @LoopActor func aServerKilledAndRestartedKeepsEverything() async throws {
    try await withServer { world, server in
      let metrics = Metrics()
      let client = try await world.client(metrics: metrics)
      var states: [NodeState] = []
      var lists: [WatchEvent] = []
      let node = client.want(Self.web, onChange: { states.append($0) })
      let path = try await registered(node)
      let token = client.watchDirectory(Self.directory) { lists.append($0) }
      try await eventually("listed") { lists == [.children(["host1_0000000000"])] }
      let session = client.savedSession
      try await server.restart()
      try await connected(client)
      try await eventually("read again") { lists.count == 2 }
      #expect(lists.last == .children(["host1_0000000000"]))
      #expect(client.savedSession == session)
      #expect(states == [.registered(path: path)])
      #expect(try await client.childChanges(Self.directory) == 1)
      let text = metrics.render()
      #expect(text.contains("smartstack_zookeeper_reconnects_total{ensemble=\"\(server.connection)\"} 1"))
      #expect(text.contains("smartstack_zookeeper_session_expiries_total{ensemble=\"\(server.connection)\"} 0"))
      token.cancel()
    }
  }

  @Test @LoopActor func anExpiredSessionIsReplacedAndEverythingAssertedOnce() async throws {
    try await withServer { world, server in
      let observer = try await world.client()
      let metrics = Metrics()
      let client = try await world.client(metrics: metrics)
      let nodes = NodeMode.allCases.map { mode in
        client.want(Registration(directory: "/x/\(mode.rawValue)", name: "n", data: "1".bytes, mode: mode))
      }
      var before: [String] = []
      for node in nodes { before.append(try await registered(node)) }
      var lists: [WatchEvent] = []
      let token = client.watchDirectory("/x/ephemeral") { lists.append($0) }
      try await eventually("listed") { lists.last == .children(["n"]) }
      var states: [ConnectionState] = []
      let observation = client.onState { states.append($0) }

      let old = try #require(client.savedSession)
      try await server.expireSession(old.id, password: old.password)
      try await eventually("a new session") { client.savedSession.map { $0.id != old.id } ?? false }
      let start = LoopClock.system.now
      for (node, mode) in zip(nodes, NodeMode.allCases) {
        try await eventually("back: \(mode)") {
          guard case .registered(let path) = node.state, let stat = try await client.stat(path) else { return false }
          return !mode.isEphemeral || stat.ephemeralOwner == client.savedSession?.id
        }
      }
      print("measured: \(LoopClock.system.now - start) from the new session to everything registered")
      #expect(states.first == .suspended || states.first == .connecting)
      #expect(states.contains(.connecting))
      // An ephemeral node went and came, a persistent one never did.
      for mode in NodeMode.allCases {
        #expect(try await observer.childChanges("/x/\(mode.rawValue)") == (mode.isEphemeral ? 3 : 1))
        #expect(try await observer.children("/x/\(mode.rawValue)")?.count == 1)
      }
      try await eventually("watched again") { lists.count >= 2 && lists.last == .children(["n"]) }
      try await observer.create("/x/ephemeral/other")
      try await eventually("seen") {
        if case .children(let names)? = lists.last { names.count == 2 } else { false }
      }
      #expect(metrics.render().contains("session_expiries_total{ensemble=\"\(server.connection)\"} 1"))
      observation.cancel()
      token.cancel()
    }
  }

  @Test @LoopActor func aNetworkDownLongerThanTheSession() async throws {
    try await withProxy(tick: .milliseconds(100)) { world, proxy in
      let observer = try await world.client()
      let client = try await world.client(to: proxy.connection, timeout: .milliseconds(600))
      let node = client.want(Self.web)
      let old = try await registered(node)
      proxy.refuse(true)
      try await eventually("expired") { try await observer.children(Self.directory) == [] }
      // Nobody has told the client: the node may still be there, for all it knows.
      #expect(client.state == .suspended)
      #expect(node.state == .registered(path: old))
      proxy.refuse(false)
      let start = LoopClock.system.now
      try await eventually("registered again") {
        if case .registered(let path) = node.state { path != old } else { false }
      }
      print("measured: \(LoopClock.system.now - start) from the network's return to the registration after an expiry")
      #expect(try await observer.childChanges(Self.directory) == 3)
    }
  }

  @Test @LoopActor func anEnsembleThatComesBackEmptyIsUsedAgain() async throws {
    try await withServer { world, server in
      // Nobody waits for this to pass: the server's own limit ends the session.
      let client = try await world.client(timeout: .seconds(60))
      // The empty server is to be far behind what this session has seen.
      for number in 0..<300 { try await client.create("/seen\(number)") }
      let node = client.want(Self.web)
      _ = try await registered(node)
      await server.kill()
      try server.wipe()
      try await server.start()
      try await eventually("a new session is open") {
        if case .connected = client.state { true } else { false }
      }
      _ = try await registered(node)
      try await eventually("once") { try await client.children(Self.directory)?.count == 1 }
      #expect(try await client.childChanges(Self.directory) == 1)
    }
  }

  @Test @LoopActor func aFirstConnectionThatHadToWaitFollowsAnOutage() async throws {
    try await withServer { world, server in
      let clock = LoopClock.manual()
      let prompt = try await world.client(clock: clock)
      #expect(prompt.reconnectedAt == nil)
      await server.kill()
      let late = try await world.client(clock: clock, isConnected: false)
      clock.advance(by: .seconds(4))
      try await server.start()
      try await connected(late)
      #expect(late.reconnectedAt == clock.now)
    }
  }

  @Test @LoopActor func aRegistrationThatEndsWhileTheServerIsAway() async throws {
    try await withServer { world, server in
      let observer = try await world.client()
      let client = try await world.client()
      let node = client.want(Self.web)
      _ = try await registered(node)
      await server.kill()
      try await eventually("lost") { client.state == .suspended }
      let gone = OneShotEvent<Void>()
      Task {
        await node.withdraw()
        gone.happen()
      }
      try await loopTurns()
      #expect(node.state != .withdrawn)
      try await server.start()
      try await gone.wait()
      try await connected(observer)
      #expect(try await observer.children(Self.directory) == [])
    }
  }

  @Test @LoopActor func closingIsBoundedWithoutAnAnswer() async throws {
    try await withServer { world, server in
      let client = try await world.client()
      let node = client.want(Self.web)
      _ = try await registered(node)
      server.pause()
      let start = LoopClock.system.now
      await client.close()
      #expect(LoopClock.system.now - start < .seconds(30))
      #expect(node.state == .withdrawn)
      await node.withdraw()
    }
  }

  // MARK: Carrying on

  @Test @LoopActor func aSessionIsCarriedOnAndItsNodesAreTakenOver() async throws {
    try await withServer { world, server in
      let observer = try await world.client()
      try await observer.create(Self.directory)
      let first = try await world.client()
      var paths: [String] = []
      for data in ["1", "2", "2"] {
        paths.append(
          try await registered(first.want(Registration(directory: Self.directory, name: "host1_", data: data.bytes))))
      }
      let fixed = Registration(directory: Self.directory, name: "fixed", data: [], mode: .ephemeral)
      paths.append(try await registered(first.want(fixed)))
      let saved = try #require(await first.abandon())
      #expect(first.state == .closed)
      #expect(first.savedSession == nil)

      let second = try await world.client(saved: saved)
      #expect(second.state == .connected(sessionID: saved.id))
      var adopted: [String] = []
      for data in ["2", "1", "2"] {
        let registration = Registration(directory: Self.directory, name: "host1_", data: data.bytes)
        adopted.append(try await registered(second.want(registration)))
      }
      adopted.append(try await registered(second.want(fixed)))
      #expect(adopted.sorted() == paths.sorted())
      #expect(try await observer.childChanges(Self.directory) == 4)
      _ = server
    }
  }

  @Test @LoopActor func whatNobodyWantsAfterAResumeIsDropped() async throws {
    try await withServer { world, _ in
      let observer = try await world.client()
      try await observer.create(Self.directory + "/theirs")
      let first = try await world.client()
      let keep = Registration(directory: Self.directory, name: "keep_", data: "1".bytes)
      let drop = Registration(directory: Self.directory, name: "drop_", data: "1".bytes)
      let kept = try await registered(first.want(keep))
      let dropped = try await registered(first.want(drop))
      let saved = try #require(await first.abandon())
      let (own, metrics) = (OwnNodes(lines: first.own.lines), Metrics())
      let second = try await world.client(saved: saved, own: own, metrics: metrics)
      #expect(try await registered(second.want(keep)) == kept)
      #expect(await second.dropLeftovers() == [dropped])
      #expect(own.lines == ["+= \(String(UInt64(bitPattern: saved.id), radix: 16)) \(kept)"])
      #expect(
        try await Set(observer.children(Self.directory) ?? []) == [
          String(kept.dropFirst(Self.directory.count + 1)), "theirs",
        ])
      // Others' nodes were not read for it: only those of our name, when the one that is kept was looked for.
      let reads = metrics.counter(
        "smartstack_zookeeper_requests_total", labels: ["ensemble": second.ensemble.description, "operation": "read"],
        help: "")
      #expect(reads.value == 1)
      // A session of one's own has no leftovers.
      #expect(await observer.dropLeftovers() == [])
    }
  }

  @Test @LoopActor func whatALostSessionHasLeftGoesWhenItsPlaceIsTaken() async throws {
    try await withServer(tick: .seconds(1)) { world, _ in
      let observer = try await world.client()
      let first = try await world.client(timeout: .seconds(20))
      let keep = Registration(directory: Self.directory, name: "keep_", data: "1".bytes)
      let drop = Registration(directory: Self.directory, name: "drop_", data: "1".bytes)
      let paths = [try await registered(first.want(keep)), try await registered(first.want(drop))]
      _ = await first.abandon()
      // The ensemble has not ended that session when the next one begins.
      let second = try await world.client(own: OwnNodes(lines: first.own.lines))
      let kept = try await registered(second.want(keep))
      try await eventually("only the new node is there") {
        try await observer.children(Self.directory) == [String(kept.dropFirst(Self.directory.count + 1))]
      }
      #expect(!paths.contains(kept))
      try await eventually("only the new one is noted as own") { second.own.lines.count == 1 }
      #expect(try await observer.childChanges(Self.directory) == 5)
    }
  }

  @Test @LoopActor func aCloseThatNoServerHearsOfSaysSo() async throws {
    try await withServer { world, server in
      let first = try await world.client()
      let node = first.want(Self.web)
      let path = try await registered(node)
      let second = try await world.client()
      #expect(await second.close())
      await server.kill()
      try await eventually("lost") { first.state == .suspended }
      #expect(await !first.close())
      #expect(first.own.lines.count == 1 && first.own.lines[0].hasSuffix(path))
    }
  }

  @Test @LoopActor func whatIsBackThoughItWasRemovedIsRemovedAgain() async throws {
    try await withServer { world, server in
      let client = try await world.client()
      let node = client.want(Self.web)
      let path = try await registered(node)
      await node.withdraw()
      // As in a backup: the session lives, and has the node.
      let session = try #require(client.context.session)
      #expect(try await session.create(path, data: [], mode: .ephemeral, isProtected: false) == path)
      try await server.restart()
      try await connected(client)
      try await eventually("gone") { try await client.stat(path) == nil }
    }
  }

  @Test @LoopActor func onlyTheLastStruckNodesOfASessionAreRemembered() {
    let own = OwnNodes()
    for number in 0..<300 {
      let entry = OwnNodes.Entry(isMade: true, path: "/n\(number)", session: number < 50 ? 1 : 2)
      own.note(entry)
      own.strike(entry)
    }
    #expect(own.struck(of: 1).isEmpty)
    #expect(own.struck(of: 2).map(\.path) == (100..<300).map { "/n\($0)" })
  }

  @Test @LoopActor func aListOfOwnNodesIsItsLines() {
    let own = OwnNodes()
    var lines: [String] = []
    own.onChange = { lines.append($0) }
    let asked = OwnNodes.Entry(isMade: false, path: "/svc/a b_", session: -1)
    own.note(asked)
    own.note(asked)
    own.note(OwnNodes.Entry(isMade: true, path: "/svc/a b_0000000001", session: -1))
    own.answered(asked)
    #expect(own.lines == ["+= ffffffffffffffff /svc/a b_0000000001", "+? ffffffffffffffff /svc/a b_"])
    #expect(OwnNodes(lines: lines).lines == own.lines)
    own.strike(path: "/svc/a b_0000000001", session: -1)
    own.answered(asked)
    #expect(own.lines.isEmpty && OwnNodes(lines: lines + ["", "+= x /y", "nonsense"]).lines.isEmpty)
  }

  @Test @LoopActor func changedDataIsWrittenOverWhenTheCallerKnowsTheNode() async throws {
    try await withServer { world, _ in
      let first = try await world.client()
      let old = Registration(directory: Self.directory, name: "host1_", data: "port 1 weight 1".bytes)
      let path = try await registered(first.want(old))
      let saved = try #require(await first.abandon())
      let second = try await world.client(saved: saved)
      var new = old
      new.data = "port 1 weight 2".bytes
      let node = second.want(new, adopting: { String(decoding: $0, as: UTF8.self).hasPrefix("port 1 ") })
      #expect(try await registered(node) == path)
      try await eventually("written") { try await second.read(path) == new.data }
      #expect(try await second.childChanges(Self.directory) == 1)
    }
  }

  @Test @LoopActor func aWithdrawalAfterAResumeDeletesTheInheritance() async throws {
    try await withServer { world, _ in
      let first = try await world.client()
      _ = try await registered(first.want(Self.web))
      let saved = try #require(await first.abandon())
      let second = try await world.client(saved: saved, isConnected: false)
      let node = second.want(Self.web)
      await node.withdraw()
      #expect(try await second.children(Self.directory) == [])
    }
  }

  @Test @LoopActor func aSavedSessionThatHasExpiredIsReplaced() async throws {
    try await withServer { world, server in
      let first = try await world.client()
      let saved = try #require(first.savedSession)
      await first.close()
      let second = try await world.client(saved: saved, isConnected: false)
      let node = second.want(Self.web)
      _ = try await registered(node)
      #expect(second.savedSession?.id != saved.id)
      let forged = try await world.client(saved: SavedSession(id: 42, password: Array(repeating: 0, count: 16)))
      #expect(forged.savedSession?.id != 42)
      _ = server
    }
  }

  @Test @LoopActor func leavingSendsNoGoodbye() async throws {
    try await withServer { world, server in
      let observer = try await world.client()
      let client = try await world.client()
      _ = try await registered(client.want(Self.web))
      let saved = try #require(await client.abandon())
      #expect(try await observer.children(Self.directory)?.count == 1)
      #expect(await server.fourLetters("dump").contains("0x" + String(UInt64(bitPattern: saved.id), radix: 16)))
    }
  }

  // MARK: The way there

  @Test @LoopActor func aNameThatMeansNothingIsNotFatal() async throws {
    try await withServer { world, server in
      let client = try await world.client(to: "nowhere.invalid:2181", isConnected: false)
      let node = client.want(Self.web)
      try await eventually("the look-up has failed") { client.context.session == nil }
      #expect(client.state == .connecting)
      #expect(node.state == .pending)
      await client.close()
      #expect(node.state == .withdrawn)
      _ = server
    }
  }

  @Test @LoopActor func oneDeadServerOfTwoIsPassedOver() async throws {
    try await withServer { world, server in
      let dead = try freePort()
      let client = try await world.client(to: "127.0.0.1:\(dead),\(server.connection)")
      _ = try await registered(client.want(Self.web))
    }
  }

  private func hasSessions(_ count: Int, of server: ZooKeeperServer) async -> Bool {
    await server.fourLetters("dump").split(separator: "\n").contains {
      $0.hasPrefix("Session Sets") && $0.hasSuffix("/(\(count)):")
    }
  }

  @Test @LoopActor func oneSessionPerEnsemble() async throws {
    try await withServer { world, server in
      let readers = ZooKeeperReaders(logger: testLogger)
      let port = try freePort()
      let hosts = [server.connection, "127.0.0.1:\(port)"]
      let one = readers.reader(for: try ServerList(hosts))
      #expect(try readers.reader(for: ServerList(hosts.reversed())) === one)
      #expect(await one.connects(within: .seconds(30)))
      try await eventually("the server counts one session") {
        await hasSessions(1, of: server)
      }
      await readers.closeAll()
      try await eventually("the server counts none") {
        await hasSessions(0, of: server)
      }
      _ = world
    }
  }
}
