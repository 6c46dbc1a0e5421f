import Reactor
import SmartStack
import TestSupport
import Testing

@testable import ZooKeeper

@Suite(.serialized, .timeLimit(.minutes(3 * patience))) struct WatchTests {
  @Test(arguments: WatcherKind.allCases)
  @LoopActor func aDirectoryFromMissingToMissing(_ kind: WatcherKind) async throws {
    try await withServer { world, _ in
      let client = try await world.watcher(kind)
      let other = try await world.client()
      var events: [WatchEvent] = []
      let token = client.watchDirectory("/a/b") { events.append($0) }
      try await eventually("missing") { events == [.missing] }
      try await other.create("/a/b")
      try await eventually("made") { events.last == .children([]) }
      try await other.create("/a/b/one")
      try await eventually("one") { events.last == .children(["one"]) }
      try await other.delete("/a/b/one")
      try await eventually("none") { events.last == .children([]) }
      try await other.delete("/a/b")
      try await eventually("missing again") { events.last == .missing }
      try await other.create("/a/b")
      try await eventually("made again") { events.last == .children([]) }
      token.cancel()
      let count = events.count
      try await other.create("/a/b/two")
      #expect(try await client.children("/a/b") == ["two"])
      #expect(events.count == count)
    }
  }

  @Test(arguments: WatcherKind.allCases)
  @LoopActor func dataFromMissingToMissing(_ kind: WatcherKind) async throws {
    try await withServer { world, _ in
      let client = try await world.watcher(kind)
      let other = try await world.client()
      var events: [WatchEvent] = []
      let token = client.watchData("/n") { events.append($0) }
      try await eventually("missing") { events == [.missing] }
      try await other.create("/n", data: "1".bytes)
      try await eventually("made") { events.last == .data("1".bytes) }
      try await other.set("/n", to: "2".bytes)
      try await eventually("changed") { events.last == .data("2".bytes) }
      try await other.set("/n", to: [])
      try await eventually("emptied") { events.last == .data([]) }
      try await other.delete("/n")
      try await eventually("gone") { events.last == .missing }
      token.cancel()
    }
  }

  /// What every proxy in the fleet pays when one registration goes: one list, nothing for the dead node.
  @Test @LoopActor func aRegistrationThatGoesCostsItsWatchersOneRequest() async throws {
    try await withServer { world, server in
      let clock = LoopClock.manual()
      let client = try await world.client(clock: clock)
      let writer = try await world.client()
      try await writer.create("/d/one", data: "1".bytes)
      var data: [WatchEvent] = []
      var isListed = false
      let child = client.watchData("/d/one") { data.append($0) }
      let directory = client.watchDirectory("/d") { event in
        if event == .children([]) { child.cancel() }
        isListed = event == .children([])
      }
      try await eventually("watched") { await server.count("zk_watch_count") == 2 }
      let before = client.context.metrics.requests.mapValues(\.value)
      // Past the pause after the first reads.
      clock.advance(by: .seconds(1))
      try await writer.delete("/d/one")
      try await eventually("listed") { isListed }
      // Past the delay after which a deleted node's data is read for watchers that stayed.
      clock.advance(by: .milliseconds(500))
      try await loopTurns()
      for (operation, count) in client.context.metrics.requests {
        #expect(count.value == (before[operation] ?? 0) + (operation == .list ? 1 : 0), "\(operation)")
      }
      #expect(data == [.data("1".bytes)])
      #expect(await server.count("zk_watch_count") == 1)
      directory.cancel()
    }
  }

  @Test(arguments: WatcherKind.allCases)
  @LoopActor func aNodeThatReturnsAtOnceWasNeverMissing(_ kind: WatcherKind) async throws {
    try await withServer { world, _ in
      let client = try await world.watcher(kind)
      let writer = try await world.client()
      try await writer.create("/fixed", data: "1".bytes)
      var data: [WatchEvent] = []
      let token = client.watchData("/fixed") { data.append($0) }
      try await eventually("known") { data.count == 1 }
      try await writer.delete("/fixed")
      try await writer.create("/fixed", data: "2".bytes)
      try await eventually("known again") { data.count == 2 }
      #expect(data == [.data("1".bytes), .data("2".bytes)])
      token.cancel()
    }
  }

  @Test(arguments: WatcherKind.allCases)
  @LoopActor func severalWatchersShareOneWatch(_ kind: WatcherKind) async throws {
    try await withServer { world, server in
      let client = try await world.watcher(kind)
      let writer = try await world.client()
      try await writer.create("/d/one")
      var first: [WatchEvent] = []
      var second: [WatchEvent] = []
      let one = client.watchDirectory("/d") { first.append($0) }
      try await eventually("first") { first == [.children(["one"])] }
      // Some releases count a recursive watch as one of data, too.
      let count = await server.count("zk_watch_count")
      #expect(kind == .client ? count == 1 : count == 1 || count == 2)
      let two = client.watchDirectory("/d") { second.append($0) }
      #expect(second.isEmpty)
      try await eventually("second") { second == [.children(["one"])] }
      #expect(await server.count("zk_watch_count") == count)
      one.cancel()
      try await writer.create("/d/two")
      try await eventually("changed") { if case .children(let all)? = second.last { all.count == 2 } else { false } }
      #expect(first.count == 1)
      two.cancel()
    }
  }

  @Test @LoopActor func aBurstIsFewReads() async throws {
    try await withServer { world, _ in
      let metrics = Metrics()
      let client = try await world.client(metrics: metrics)
      let writer = try await world.client()
      try await writer.create("/burst")
      var last = 0
      let token = client.watchDirectory("/burst") { if case .children(let names) = $0 { last = names.count } }
      try await eventually("watching") { client.context.metrics.directoryReads.value == 1 }
      for chunk in 0..<20 {
        try await withThrowingTaskGroup { group in
          for index in 0..<50 { group.addTask { try await writer.create("/burst/\(chunk)-\(index)") } }
          try await group.waitForAll()
        }
      }
      try await eventually("all seen") { last == 1000 }
      print("measured: \(Int(client.context.metrics.directoryReads.value) - 1) reads for a burst of 1000 nodes")
      #expect(client.context.metrics.directoryReads.value < 150)
      token.cancel()
    }
  }

  @Test @LoopActor func oneDirectoryIsNeverReadTwiceAtATime() async throws {
    // A session that outlives any pause of a busy machine: a reconnect would be one more reason to read.
    try await withServer(tick: .seconds(2)) { world, server in
      let client = try await world.client(timeout: .seconds(40))
      let writer = try await world.client()
      try await writer.create("/slow")
      var events = 0
      let token = client.watchDirectory("/slow") { _ in events += 1 }
      try await eventually("watching") { events == 1 }
      server.pause()
      let reads = client.context.metrics.directoryReads.value
      let session = try #require(client.context.connected)
      let path = WatchKey(kind: .children, path: "/slow")
      // As if the watch fired again and again while the answer is late.
      for _ in 0..<10 { session.fireForTest(path) }
      #expect(client.context.metrics.directoryReads.value <= reads + 1)
      server.resume()
      try await eventually("answered") { events >= 2 }
      #expect(client.context.metrics.directoryReads.value <= reads + 2)
      token.cancel()
    }
  }

  @Test(arguments: WatcherKind.allCases)
  @LoopActor func changesWhileDisconnectedAreSeenAfterwards(_ kind: WatcherKind) async throws {
    try await withProxy { world, proxy in
      let writer = try await world.client()
      try await writer.create("/d/one")
      try await writer.create("/n", data: "1".bytes)
      let client = try await world.watcher(kind, to: proxy.connection)
      var lists: [WatchEvent] = []
      var data: [WatchEvent] = []
      let tokens = [client.watchDirectory("/d") { lists.append($0) }, client.watchData("/n") { data.append($0) }]
      try await eventually("watching") { lists.count == 1 && data.count == 1 }
      proxy.refuse(true)
      try await writer.create("/d/two")
      try await writer.set("/n", to: "2".bytes)
      proxy.refuse(false)
      try await eventually("connected again") { client.reconnectedAt != nil }
      try await eventually("seen") {
        guard case .children(let names)? = lists.last else { return false }
        return names.count == 2 && data.last == .data("2".bytes)
      }
      for token in tokens { token.cancel() }
    }
  }

  @Test @LoopActor func aLostWatchIsFoundByLooking() async throws {
    try await withServer { world, _ in
      var limits = ZooKeeperLimits()
      limits.reconcileInterval = .milliseconds(100)
      let client = try await world.client(limits: limits)
      let writer = try await world.client()
      try await writer.create("/d")
      var lists: [WatchEvent] = []
      let token = client.watchDirectory("/d") { lists.append($0) }
      let node = client.want(Registration(directory: "/own", name: "n", data: []))
      let path = try await registered(node)
      try await eventually("watching") { lists.count == 1 }
      try #require(client.context.connected).ignoreAllForTest()
      try await writer.create("/d/one")
      try await writer.delete(path)
      try await eventually("seen all the same") { lists.last == .children(["one"]) }
      try await eventually("made again all the same") {
        if case .registered(let new) = node.state { new != path } else { false }
      }
      // Looking without finding anything new says nothing.
      let count = lists.count
      let reads = client.context.metrics.directoryReads.value
      try await eventually("looked again") { client.context.metrics.directoryReads.value > reads + 2 }
      #expect(lists.count == count)
      token.cancel()
    }
  }

  @Test @LoopActor func beyondTheBudgetDataIsReadAtIntervals() async throws {
    try await withServer { world, server in
      var limits = ZooKeeperLimits()
      limits.watchBytes = 100
      limits.unwatchedInterval = .milliseconds(100)
      let client = try await world.client(limits: limits)
      let writer = try await world.client()
      for index in 0..<10 { try await writer.create("/data/\(index)", data: "1".bytes) }
      var seen = Array(repeating: WatchEvent.missing, count: 10)
      let tokens = (0..<10).map { index in client.watchData("/data/\(index)") { seen[index] = $0 } }
      let directory = client.watchDirectory("/data") { _ in }
      try await eventually("read") { seen.allSatisfy { $0 == .data("1".bytes) } }
      // Twelve bytes each: six within three quarters of the budget, and the directory.
      try await eventually("watched") { await server.count("zk_watch_count") == 7 }
      for index in 0..<10 { try await writer.set("/data/\(index)", to: "2".bytes) }
      try await eventually("all changes seen") { seen.allSatisfy { $0 == .data("2".bytes) } }
      for token in tokens + [directory] { token.cancel() }
    }
  }

  @Test @LoopActor func aLookThatFellDueDuringAnOutageIsMadeUp() async throws {
    try await withProxy { world, proxy in
      let clock = LoopClock.manual()
      var limits = ZooKeeperLimits()
      limits.watchBytes = 0
      limits.unwatchedInterval = .seconds(10)
      let client = try await world.client(to: proxy.connection, limits: limits, clock: clock)
      let writer = try await world.client()
      for index in 0..<10 { try await writer.create("/data/\(index)", data: "1".bytes) }
      var seen = Array(repeating: WatchEvent.missing, count: 10)
      let tokens = (0..<10).map { index in client.watchData("/data/\(index)") { seen[index] = $0 } }
      try await eventually("read") { seen.allSatisfy { $0 == .data("1".bytes) } }
      proxy.refuse(true)
      try await eventually("lost") { client.state == .suspended }
      clock.advance(by: .seconds(60))
      for index in 0..<10 { try await writer.set("/data/\(index)", to: "2".bytes) }
      proxy.refuse(false)
      try await connected(client)
      // Half a second at most is what the spread after a reconnect allows ten paths; no look is due by itself in it.
      clock.advance(by: .milliseconds(500))
      try await eventually("all changes seen") { seen.allSatisfy { $0 == .data("2".bytes) } }
      for token in tokens { token.cancel() }
    }
  }

  /// The packet that re-arms everything: with the default budget it must pass, however many are wanted.
  @Test @LoopActor func moreWatchesThanAPacketHoldsSurviveAReconnect() async throws {
    try await withProxy { world, proxy in
      let writer = try await world.client()
      let long = String(repeating: "x", count: 4000)
      try await writer.create("/many")
      let client = try await world.client(to: proxy.connection)
      var known = 0
      let tokens = (0..<400).map { index in client.watchData("/many/\(long)\(index)") { _ in known += 1 } }
      try await eventually("known") { known == 400 }
      proxy.refuse(true)
      try await eventually("lost") { client.state == .suspended }
      proxy.refuse(false)
      try await connected(client)
      #expect(try await client.exists("/many"))
      // Which of them are watched and which are only looked at now and then is the budget's business: one that is
      // watched must tell.
      let before = known
      for index in 0..<400 { try await writer.create("/many/\(long)\(index)", data: []) }
      try await eventually("fired") { known > before }
      for token in tokens { token.cancel() }
    }
  }

  @Test @LoopActor func aDirectoryWithoutPermissionIsReportedOnce() async throws {
    try await withServer { world, _ in
      let client = try await world.client()
      var events: [WatchEvent] = []
      let token = client.watchDirectory("no/slash") { events.append($0) }
      try await eventually("refused") { !events.isEmpty }
      guard case .failed(let error)? = events.first else { throw ServerTrouble(description: "\(events)") }
      #expect(error.code == .badArguments)
      token.cancel()
    }
  }

  /// The server does not tell when it would answer again.
  @Test @LoopActor func aDirectoryThatIsOpenedAgainIsReadSoon() async throws {
    try await withServer { world, server in
      let observer = try await world.client()
      try await observer.create("/closed")
      // All but reading: 1.
      try await server.permit(30, at: "/closed")
      let client = try await world.client()
      var events: [WatchEvent] = []
      let token = client.watchDirectory("/closed") { events.append($0) }
      try await eventually("refused") { if case .failed = events.last { true } else { false } }
      try await server.permit(31, at: "/closed")
      try await eventually("listed") { events.last == .children([]) }
      try await observer.create("/closed/a")
      try await eventually("and watched") { events.last == .children(["a"]) }
      token.cancel()
    }
  }

  @Test @LoopActor func thousandsOfReadsWaitTheirTurn() async throws {
    try await withServer { world, server in
      let client = try await world.client()
      var known = 0
      let tokens = (0..<3000).map { index in client.watchDirectory("/nowhere/\(index)") { _ in known += 1 } }
      try await eventually("known") { known == 3000 }
      #expect(await server.count("zk_watch_count") == 3000)
      for token in tokens { token.cancel() }
    }
  }
}
