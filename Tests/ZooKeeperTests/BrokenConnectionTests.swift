import Reactor
import SmartStack
import TestSupport
import Testing

@testable import ZooKeeper

/// A connection that breaks at the worst moments: never two nodes for one registration.
///
/// ZooKeeper counts every child that comes or goes in the directory's `cversion`, so the number says
/// what happened at every moment, also where nobody looked.
@Suite(.serialized, .timeLimit(.minutes(3 * patience))) struct BrokenConnectionTests {
  private static let directory = "/smartstack/global/web.main"

  private static func web(_ mode: NodeMode, _ name: String = "host1_") -> Registration {
    Registration(directory: directory, name: name, data: "{\"port\":1}".bytes, mode: mode)
  }

  struct Break: Sendable, CustomTestStringConvertible {
    let mode: NodeMode
    let cut: CuttingProxy.Cut
    var testDescription: String { "\(mode) \(cut)" }
  }

  static let breaks = NodeMode.allCases.flatMap { mode in
    [CuttingProxy.Cut.beforeRequest, .afterRequest, .beforeAnswer].map { Break(mode: mode, cut: $0) }
  }

  @Test("a create whose answer is lost makes one node", arguments: breaks)
  @LoopActor func create(_ c: Break) async throws {
    try await withProxy { world, proxy in
      let observer = try await world.client()
      try await observer.create(Self.directory)
      let client = try await world.client(to: proxy.connection)
      proxy.breakNext(CuttingProxy.create, c.cut)
      let node = client.want(Self.web(c.mode))
      let path = try await registered(node)
      #expect(proxy.cuts == 1)
      #expect(try await observer.childChanges(Self.directory) == 1)
      #expect(try await observer.children(Self.directory)?.map { Self.directory + "/" + $0 } == [path])
      await node.withdraw()
      #expect(try await observer.childChanges(Self.directory) == 2)
    }
  }

  @Test("a withdrawal finds what a lost create made", arguments: breaks)
  @LoopActor func withdrawal(_ c: Break) async throws {
    try await withProxy { world, proxy in
      let observer = try await world.client()
      try await observer.create(Self.directory)
      let client = try await world.client(to: proxy.connection)
      proxy.breakNext(CuttingProxy.create, c.cut)
      let node = client.want(Self.web(c.mode))
      try await eventually("broken") { proxy.cuts == 1 }
      await node.withdraw()
      #expect(try await observer.children(Self.directory) == [])
    }
  }

  /// What is wanted may have changed while nobody knew what there was.
  @Test(arguments: [NodeMode.ephemeralSequential, .persistentSequential])
  @LoopActor func newDataWhileACreateIsUnanswered(mode: NodeMode) async throws {
    try await withProxy { world, proxy in
      let observer = try await world.client()
      try await observer.create(Self.directory)
      let client = try await world.client(to: proxy.connection)
      proxy.breakNext(CuttingProxy.create, .beforeAnswer)
      let node = client.want(Self.web(mode))
      try await eventually("broken") { proxy.cuts == 1 }
      node.update(data: "new".bytes)
      let path = try await registered(node)
      try await eventually("written") { try await observer.read(path) == "new".bytes }
      #expect(try await observer.childChanges(Self.directory) == 1)
    }
  }

  @Test("a lost delete is repeated", arguments: breaks)
  @LoopActor func delete(_ c: Break) async throws {
    try await withProxy { world, proxy in
      let observer = try await world.client()
      let client = try await world.client(to: proxy.connection)
      let node = client.want(Self.web(c.mode))
      _ = try await registered(node)
      proxy.breakNext(CuttingProxy.delete, c.cut)
      await node.withdraw()
      #expect(proxy.cuts == 1)
      #expect(try await observer.children(Self.directory) == [])
      #expect(try await observer.childChanges(Self.directory) == 2)
    }
  }

  @Test @LoopActor func everyRequestOfALifeMayBeLost() async throws {
    try await withProxy { world, proxy in
      let observer = try await world.client()
      let client = try await world.client(to: proxy.connection)
      for operation in [CuttingProxy.exists, CuttingProxy.setData, CuttingProxy.getChildren] {
        proxy.breakNext(operation, .beforeAnswer)
        let node = client.want(Self.web(.ephemeralSequential))
        let path = try await registered(node)
        node.update(data: "new".bytes)
        try await eventually("written") { try await observer.read(path) == "new".bytes }
        if operation == CuttingProxy.getChildren {
          proxy.refuse(true)
          proxy.refuse(false)
        }
        await node.withdraw()
        #expect(try await observer.children(Self.directory) == [])
      }
      #expect(try await observer.childChanges(Self.directory) == 6)
    }
  }

  /// Many registrations, two of them alike, and a connection that breaks all the time.
  @Test @LoopActor func aFlakyConnectionNeverDoublesAnything() async throws {
    try await withProxy { world, proxy in
      let observer = try await world.client()
      try await observer.create(Self.directory)
      let history = try await History(observer, Self.directory)
      let client = try await world.client(to: proxy.connection)
      proxy.breakNext(CuttingProxy.create, .beforeAnswer)
      let nodes = (0..<20).map { index in
        client.want(
          Registration(directory: Self.directory, name: "host1_", data: "\(index / 2)".bytes))
      }
      for round in 0..<20 {
        proxy.breakNext(CuttingProxy.create, [.beforeAnswer, .afterRequest, .beforeRequest][round % 3])
        try await eventually("round \(round)") {
          if proxy.cuts > round { return true }
          // All made already: nothing is left to be broken.
          return nodes.allSatisfy { if case .registered = $0.state { true } else { false } }
        }
      }
      var paths: Set<String> = []
      for node in nodes { paths.insert(try await registered(node)) }
      #expect(paths.count == 20)
      #expect(try await observer.childChanges(Self.directory) == 20)
      #expect(history.mostOf("host1_") == 20)
      for node in nodes { await node.withdraw() }
      #expect(try await observer.childChanges(Self.directory) == 40)
      #expect(proxy.cuts > 0)
    }
  }

  @Test @LoopActor func aShortLossTouchesNothing() async throws {
    try await withProxy { world, proxy in
      let observer = try await world.client()
      let client = try await world.client(to: proxy.connection)
      var states: [NodeState] = []
      let node = client.want(Self.web(.ephemeralSequential), onChange: { states.append($0) })
      let path = try await registered(node)
      try await eventually("watched") { await world.server.count("zk_watch_count") == 1 }
      let (creates, sets) = (proxy.count(CuttingProxy.create), proxy.count(CuttingProxy.setData))
      for _ in 0..<3 {
        proxy.refuse(true)
        try await eventually("lost") { client.state == .suspended }
        proxy.refuse(false)
        try await connected(client)
      }
      #expect(states == [.registered(path: path)])
      #expect(proxy.count(CuttingProxy.create) == creates)
      #expect(proxy.count(CuttingProxy.setData) == sets)
      #expect(try await observer.childChanges(Self.directory) == 1)
    }
  }
}

/// Runs `body` with a server and a proxy in front of it.
@LoopActor func withProxy(
  tick: Duration = .milliseconds(200), _ body: @LoopActor (World, CuttingProxy) async throws -> Void
) async throws {
  try await withServer(tick: tick) { world, server in
    let proxy = try CuttingProxy(serverPort: server.port)
    defer { proxy.stop() }
    try await body(world, proxy)
    await world.closeAll()
  }
}

/// Every list that an independent observer saw of a directory, read again as fast as it can.
@LoopActor final class History {
  private(set) var lists: [[String]] = []
  private var token: WatchToken?

  init(_ client: ZooKeeperClient, _ directory: String) async throws {
    token = client.watchDirectory(directory) { [weak self] event in
      if case .children(let names) = event { self?.lists.append(names) }
    }
    try await eventually("observing") { !lists.isEmpty }
  }

  /// The most names with this beginning that were there at one moment.
  func mostOf(_ name: String) -> Int {
    lists.map { list in list.count { $0.hasPrefix(name) } }.max() ?? 0
  }
}
