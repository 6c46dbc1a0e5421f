import Glibc
import Logging
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import ZooKeeper

/// What a watcher of a directory learns: its names and the data of each, asked for as soon as the name is known.
@LoopActor final class Copy {
  private(set) var names: Set<String>?
  private(set) var data: [String: [UInt8]] = [:]
  private(set) var failures: [ZooKeeperError] = []
  private var tokens: [String: WatchToken] = [:]
  private var token: WatchToken?
  private var nodes: PathSubscription?

  init(of directory: String, by watcher: any PathWatcher) {
    guard let reader = watcher as? ZooKeeperReader else {
      token = watcher.watchDirectory(directory) { [weak self] in self?.receive($0, of: directory, by: watcher) }
      return
    }
    nodes = reader.watchNodes(directory) { [weak self] name, event in
      if name.isEmpty { self?.receive(event, of: directory, by: reader) } else { self?.receive(event, ofNode: name) }
    }
  }

  private func receive(_ event: WatchEvent, of directory: String, by watcher: any PathWatcher) {
    switch event {
    case .children(let found): update(Set(found), in: directory, by: watcher)
    case .missing: update([], in: directory, by: watcher)
    case .failed(let error): failures.append(error)
    case .data: break
    }
  }

  private func receive(_ event: WatchEvent, ofNode name: String) {
    if case .data(let bytes) = event { data[name] = bytes } else { data[name] = nil }
  }

  private func update(_ found: Set<String>, in directory: String, by watcher: any PathWatcher) {
    for name in names ?? [] where !found.contains(name) {
      tokens.removeValue(forKey: name)?.cancel()
      nodes?.forget(name)
      data[name] = nil
    }
    for name in found where names?.contains(name) != true {
      if let nodes {
        nodes.read(name)
      } else {
        tokens[name] = watcher.watchData("\(directory)/\(name)") { [weak self] in self?.receive($0, ofNode: name) }
      }
    }
    names = found
  }

  /// Whether names and data are just these.
  func isEqual(to truth: [String: [UInt8]]) -> Bool { names == Set(truth.keys) && data == truth }

  func end() {
    token?.cancel()
    nodes?.cancel()
    for token in tokens.values { token.cancel() }
  }
}

@Suite(.serialized, .timeLimit(.minutes(5 * patience))) struct ReaderTests {
  @Test @LoopActor func aDirectoryIsOneWatchAndFewRequests() async throws {
    try await withServer { world, server in
      let writer = try await world.client()
      var truth: [String: [UInt8]] = [:]
      for number in 0..<1000 {
        truth["n\(number)"] = "data \(number)".bytes
        try await writer.create("/d/n\(number)", data: "data \(number)".bytes)
      }
      let metrics = Metrics()
      let reader = try await world.reader(metrics: metrics)
      let requests = ZooKeeperMetrics(metrics, ensemble: server.connection).requests
      let copy = Copy(of: "/d", by: reader)
      try await eventually("all known") { copy.isEqual(to: truth) }
      try await eventually("one watch") { await server.fourLetters("wchs").contains("Total watches:1") }
      #expect(requests[.list]?.value == 1)
      #expect((1...16).contains(try #require(requests[.read]).value - 1), "a thousand nodes in a few requests")
      truth["new"] = "new".bytes
      try await writer.create("/d/new", data: "new".bytes)
      truth["n7"] = "changed".bytes
      try await writer.set("/d/n7", to: "changed".bytes)
      truth["n8"] = nil
      try await writer.delete("/d/n8")
      try await eventually("all known again") { copy.isEqual(to: truth) }
      #expect(requests[.list]?.value == 1, "an event names the child")
      copy.end()
      try await eventually("no watch is left") { await server.fourLetters("wchs").contains("Total watches:0") }
    }
  }

  @Test @LoopActor func belowAPathOfTheEnsemble() async throws {
    try await withServer { world, server in
      let writer = try await world.client()
      try await writer.create("/root/d/one", data: "1".bytes)
      let reader = try await world.reader(to: server.connection + "/root")
      let copy = Copy(of: "/d", by: reader)
      let top = Copy(of: "/", by: reader)
      try await eventually("known") { copy.isEqual(to: ["one": "1".bytes]) && top.names == ["d"] }
      try await writer.set("/root/d/one", to: "2".bytes)
      try await writer.create("/root/e")
      try await eventually("changes") { copy.isEqual(to: ["one": "2".bytes]) && top.names == ["d", "e"] }
      #expect(try await reader.read("/d/one") == "2".bytes)
      #expect(try await reader.read("/d/two") == nil)
      #expect(try await Set(reader.children("/") ?? []) == ["d", "e"])
      #expect(try await reader.children("/x") == nil)
      copy.end()
      top.end()
    }
  }

  /// What a reconnect must find although nothing announces it: a name that came, one that went, data that changed, and a
  /// node that was made anew under its old name.
  @Test @LoopActor func aRestartedServerIsReadAgain() async throws {
    try await withServer { world, server in
      let writer = try await world.client()
      for name in ["stays", "goes", "changes"] { try await writer.create("/d/\(name)", data: name.bytes) }
      let metrics = Metrics()
      let proxy = try CuttingProxy(serverPort: server.port)
      defer { proxy.stop() }
      let reader = try await world.reader(to: proxy.connection, metrics: metrics)
      let copy = Copy(of: "/d", by: reader)
      try await eventually("known") { copy.data.count == 3 }
      proxy.refuse(true)
      try await writer.delete("/d/goes")
      try await writer.set("/d/changes", to: "2".bytes)
      try await writer.create("/d/comes", data: "3".bytes)
      await server.kill()
      try await server.start()
      proxy.refuse(false)
      try await eventually("true again") {
        copy.isEqual(to: ["stays": "stays".bytes, "changes": "2".bytes, "comes": "3".bytes])
      }
      #expect(reader.reconnectedAt != nil)
      try await eventually("watched again") { await server.fourLetters("wchs").contains("Total watches:1") }
      try await connected(writer)
      try await writer.set("/d/stays", to: "4".bytes)
      try await eventually("seen") { copy.data["stays"] == "4".bytes }
      copy.end()
    }
  }

  /// In the same session versions are compared, which events keep up to date; watches are added with one request.
  @Test @LoopActor func aReconnectListsOnlyWhatHasChangedMeanwhile() async throws {
    try await withServer { world, server in
      let writer = try await world.client()
      for number in 0..<50 { _ = try await writer.create("/d\(number)/one", data: "1".bytes) }
      let metrics = Metrics()
      let proxy = try CuttingProxy(serverPort: server.port)
      defer { proxy.stop() }
      let reader = try await world.reader(to: proxy.connection, timeout: .seconds(20), metrics: metrics)
      let requests = ZooKeeperMetrics(metrics, ensemble: proxy.connection).requests
      let copies = (0..<50).map { Copy(of: "/d\($0)", by: reader) }
      try await eventually("all known") { copies.allSatisfy { $0.isEqual(to: ["one": "1".bytes]) } }
      try await writer.create("/d7/two", data: "2".bytes)
      try await writer.delete("/d7/one")
      try await eventually("an event is enough") { copies[7].isEqual(to: ["two": "2".bytes]) }
      #expect(requests[.list]?.value == 50)
      #expect(requests[.watch]?.value == 1)
      proxy.refuse(true)
      proxy.breakNext(WireOperation.multiRead.rawValue, .beforeRequest)
      await #expect(throws: (any Error).self) { try await reader.read("/x") }
      try await writer.create("/d8/two", data: "2".bytes)
      try await writer.delete("/d9/one")
      proxy.refuse(false)
      try await eventually("true again") {
        copies[8].isEqual(to: ["one": "1".bytes, "two": "2".bytes]) && copies[9].isEqual(to: [:])
      }
      #expect(requests[.list]?.value == 52)
      #expect(requests[.watch]?.value == 2)
      try await writer.create("/d10/two", data: "2".bytes)
      try await eventually("watched again") { copies[10].names == ["one", "two"] }
      #expect(requests[.list]?.value == 52)
      for copy in copies { copy.end() }
    }
  }

  /// For as long as an ensemble is away it ends no session.
  @Test @LoopActor func anOutageKeepsTheSession() async throws {
    try await withServer(tick: .seconds(1)) { world, server in
      let writer = try await world.client(timeout: .seconds(20))
      _ = try await writer.create("/d/one", data: "1".bytes)
      let metrics = Metrics()
      let reader = try await world.reader(timeout: .seconds(20), metrics: metrics)
      let counts = ZooKeeperMetrics(metrics, ensemble: server.connection)
      let copy = Copy(of: "/d", by: reader)
      try await eventually("known") { copy.isEqual(to: ["one": "1".bytes]) }
      await server.kill()
      try await eventually("lost") { counts.isConnected.value == 0 }
      let began = ContinuousClock.now
      try await eventually("the time in which another session would be asked for has passed") {
        ContinuousClock.now - began > .seconds(4)
      }
      try await server.start()
      try await eventually("connected again") { counts.isConnected.value == 1 }
      #expect(counts.expiries.value == 0)
      try await connected(writer)
      try await writer.create("/d/two", data: "2".bytes)
      try await eventually("watched again") { copy.isEqual(to: ["one": "1".bytes, "two": "2".bytes]) }
      copy.end()
    }
  }

  @Test @LoopActor func anEnsembleThatComesBackEmptyIsUsedAgain() async throws {
    try await withServer { world, server in
      let writer = try await world.client()
      try await writer.create("/d/one", data: "1".bytes)
      let reader = try await world.reader(timeout: .seconds(2))
      let copy = Copy(of: "/d", by: reader)
      try await eventually("known") { copy.isEqual(to: ["one": "1".bytes]) }
      await server.kill()
      try server.wipe()
      try await server.start()
      try await eventually("empty") { copy.isEqual(to: [:]) }
      let other = try await world.client()
      try await other.create("/d/two", data: "2".bytes)
      try await eventually("new") { copy.isEqual(to: ["two": "2".bytes]) }
      copy.end()
    }
  }

  @Test @LoopActor func anOlderServerIsWatchedThroughTheLibrary() async throws {
    try await withProxy { world, proxy in
      proxy.pretendOldServer()
      let writer = try await world.client()
      try await writer.create("/d/one", data: "1".bytes)
      let reader = try await world.reader(to: proxy.connection)
      let copy = Copy(of: "/d", by: reader)
      try await eventually("known") { copy.isEqual(to: ["one": "1".bytes]) }
      try await writer.create("/d/two", data: "2".bytes)
      try await writer.set("/d/one", to: "3".bytes)
      try await eventually("changes") { copy.isEqual(to: ["one": "3".bytes, "two": "2".bytes]) }
      #expect(reader.standIn?.isConnected == true && proxy.count(CuttingProxy.getChildren) > 0)
      #expect(try await reader.read("/d/one") == "3".bytes)
      copy.end()
    }
  }

  @Test @LoopActor func whatIsForbiddenIsNamedAndReadOnceItIsOpened() async throws {
    try await withServer { world, server in
      let writer = try await world.client()
      try await writer.create("/d/one", data: "1".bytes)
      try await server.permit(30, at: "/d")
      let reader = try await world.reader()
      let copy = Copy(of: "/d", by: reader)
      try await eventually("refused") { copy.failures.map(\.code) == [.noAuth] }
      #expect(copy.failures.first?.path == "/d")
      try await server.permit(31, at: "/d")
      try await eventually("read") { copy.names == ["one"] }
      copy.end()
    }
  }

  /// Two kinds of watcher and one truth, under random changes, cuts and expired sessions.
  @Test(arguments: 1...3 as ClosedRange<UInt64>)
  @LoopActor func bothKindsEndWithTheTruth(seed: UInt64) async throws {
    var random = SeededGenerator(seed: seed)
    try await withProxy(tick: .milliseconds(100)) { world, proxy in
      let writer = try await world.client()
      try await writer.create("/d")
      let copies = [
        Copy(of: "/d", by: try await world.client(to: proxy.connection, timeout: .seconds(1))),
        Copy(of: "/d", by: try await world.reader(to: proxy.connection, timeout: .seconds(1))),
      ]
      var truth: [String: [UInt8]] = [:]
      for step in 0..<1500 {
        let name = "n\(Int.random(in: 0..<40, using: &random))"
        switch (truth[name], Int.random(in: 0..<3, using: &random)) {
        case (nil, _):
          truth[name] = "\(step)".bytes
          try await writer.create("/d/\(name)", data: "\(step)".bytes)
        case (.some, 0):
          truth[name] = nil
          try await writer.delete("/d/\(name)")
        case (.some, _):
          truth[name] = "\(step)".bytes
          try await writer.set("/d/\(name)", to: "\(step)".bytes)
        }
        if step.isMultiple(of: 150) {
          let operations: [Int32] = [CuttingProxy.getChildren, CuttingProxy.getData, 12, 22, 105]
          proxy.breakNext(
            operations.randomElement(using: &random) ?? 22,
            [.beforeRequest, .afterRequest, .beforeAnswer].randomElement(using: &random) ?? .beforeAnswer)
        }
        if step.isMultiple(of: 400) {
          proxy.refuse(true)
          for _ in 0..<20 { _ = try await writer.exists("/d") }
          proxy.refuse(false)
        }
      }
      for copy in copies {
        try await eventually("seed \(seed): \(copy.data.count) of \(truth.count)") { copy.isEqual(to: truth) }
        copy.end()
      }
    }
  }

  /// A server ends the session of a client that it does not hear, however much that client hears.
  @Test @LoopActor func aClientThatOnlyHearsEventsSaysThatItIsThere() async throws {
    let hello =
      [0, 0, 0, 37, 0, 0, 0, 0, 0, 0, 15, 160, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 16] as [UInt8]
      + Array(repeating: 1, count: 17)
    let event =
      [0, 0, 0, 30] as [UInt8] + Array(repeating: 255, count: 12) + [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 2]
      + "/d".bytes
    let (peer, heard) = (Locked<LoopbackConnection?>(nil), Locked<[UInt8]>([]))
    let server = LoopbackServer { connection in
      _ = connection.receive()
      connection.send(hello)
      peer.withLock { $0 = connection }
      while case let bytes = connection.receive(), !bytes.isEmpty { heard.withLock { $0 += bytes } }
    }
    let clock = LoopClock.manual()
    var events = 0
    let connection = try #require(
      try await WireConnection.open(
        to: .tcp(host: "127.0.0.1", port: server.port), resuming: WireConnection.Session(), timeout: .seconds(4),
        metrics: ZooKeeperMetrics(nil, ensemble: "x"), clock: clock, onEvent: { _, _ in events += 1 }))
    try await eventually("accepted") { peer.withLock { $0 != nil } }
    // Half of the session's time, and an event in each sixth of it.
    for number in 1...3 {
      peer.withLock { $0 }?.send(event)
      try await eventually("event \(number)") { events == number }
      clock.advance(by: .milliseconds(667))
    }
    try await eventually("a ping") { heard.withLock { $0 } == [0, 0, 0, 8, 255, 255, 255, 254, 0, 0, 0, 11] }
    connection.close(because: "closed")
  }

  /// Whatever a server, or what pretends to be one, sends: the reader goes on to ask.
  @Test @LoopActor func nonsenseBreaksTheConnectionAndNothingElse() async throws {
    var random = SeededGenerator(seed: 7)
    let hello =
      [0, 0, 0, 37, 0, 0, 0, 0, 0, 0, 15, 160, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 16] as [UInt8]
      + Array(repeating: 1, count: 17)
    let capable =
      [0, 0, 0, 25, 0, 0, 0, 1] as [UInt8] + Array(repeating: 0, count: 12) + [
        255, 255, 255, 255, 1, 255, 255, 255, 255,
      ]
    var answers: [[UInt8]] = [
      [], [255, 255, 255, 255], [127, 255, 255, 255], [0, 0, 0, 4, 0, 0, 0, 2], hello.dropLast(20) + [],
    ]
    for _ in 0..<60 {
      var noise = (0..<Int.random(in: 1...60, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
      if Bool.random(using: &random) { noise = [0, 0, 0, UInt8(noise.count)] + noise }
      answers.append(noise)
    }
    let count = Locked(0)
    let all = answers
    let server = LoopbackServer { connection in
      let number = count.withLock {
        $0 += 1
        return $0
      }
      let answer = all[number % all.count]
      // Half of them behind a greeting that makes sense.
      connection.send(number.isMultiple(of: 2) ? hello + capable + answer : answer)
      if number.isMultiple(of: 3) { _ = connection.receive() }
    }
    let reader = ZooKeeperReader(
      ensemble: try ServerList(["127.0.0.1:\(server.port)"]), sessionTimeout: .seconds(1), logger: testLogger)
    let token = reader.watchDirectory("/d") { _ in }
    let data = reader.watchData("/d/one") { _ in }
    reader.start()
    try await eventually("asked again and again: \(count.withLock { $0 })", within: .seconds(120)) {
      count.withLock { $0 } > 40
    }
    token.cancel()
    data.cancel()
    await reader.close()
  }
}
