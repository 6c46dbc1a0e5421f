import Glibc
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import ZooKeeper

/// Random lives of many registrations under random trouble, from a seed, so that a failure can be repeated.
@Suite(.serialized, .timeLimit(.minutes(10 * patience))) struct ChaosTests {
  private static let directory = "/smartstack/global/chaos"

  /// Four of them, or as many as `ZOOKEEPER_CHAOS_SEEDS` says.
  private static var seeds: ClosedRange<UInt64> {
    1...(getenv("ZOOKEEPER_CHAOS_SEEDS").flatMap { UInt64(String(cString: $0)) } ?? 4)
  }

  @Test(arguments: seeds)
  @LoopActor func whateverHappensEachWishIsOneNode(seed: UInt64) async throws {
    var random = SeededGenerator(seed: seed)
    try await withProxy(tick: .milliseconds(100)) { world, proxy in
      let observer = try await world.client()
      try await observer.create(Self.directory)
      let history = try await History(observer, Self.directory)
      let client = try await world.client(to: proxy.connection, timeout: .seconds(1))
      var nodes: [Int: WantedNode] = [:]
      var leaving: [WantedNode] = []
      for step in 0..<60 {
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<4:
          // A number is used once: its successor would be the same registration while the first one leaves.
          let mode: NodeMode =
            [.ephemeral, .ephemeralSequential, .persistent, .persistentSequential].randomElement(using: &random)
            ?? .ephemeral
          let registration = Registration(
            directory: Self.directory, name: "n\(step)_", data: "\(step)".bytes, mode: mode)
          nodes[step] = client.want(registration)
        case 4..<6:
          guard let (key, node) = nodes.sorted(by: { $0.key < $1.key }).randomElement(using: &random) else { continue }
          nodes[key] = nil
          leaving.append(node)
          Task { await node.withdraw() }
        case 6:
          let some = nodes.sorted(by: { $0.key < $1.key }).randomElement(using: &random)?.value
          some?.update(data: "updated in \(step)".bytes)
        case 7:
          let operation = [CuttingProxy.create, CuttingProxy.delete, CuttingProxy.setData, CuttingProxy.exists]
          let cut = [CuttingProxy.Cut.beforeRequest, .afterRequest, .beforeAnswer]
          proxy.breakNext(
            operation.randomElement(using: &random) ?? 1, cut.randomElement(using: &random) ?? .afterRequest)
        case 8:
          proxy.refuse(true)
          try await LoopClock.system.sleep(for: .milliseconds(Int.random(in: 5...60, using: &random)))
          proxy.refuse(false)
        default:
          guard let session = client.savedSession, Bool.random(using: &random) else { continue }
          try? await world.server.expireSession(session.id, password: session.password)
        }
        try await LoopClock.system.sleep(for: .milliseconds(Int.random(in: 0...40, using: &random)))
      }
      try await settle(client, observer, nodes, leaving)
      #expect(history.mostOfAnyPrefix() == 1, "seed \(seed)")
      let count = try await observer.childChanges(Self.directory)
      try await loopTurns()
      #expect(try await observer.childChanges(Self.directory) == count, "nothing goes on")
    }
  }

  @LoopActor private func settle(
    _ client: ZooKeeperClient, _ observer: ZooKeeperClient, _ nodes: [Int: WantedNode], _ leaving: [WantedNode]
  ) async throws {
    for node in leaving { try await eventually("gone") { node.state == .withdrawn } }
    var there: [String: [UInt8]] = [:]
    for node in nodes.values {
      let path = try await registered(node)
      try await eventually("written") { try await observer.read(path) == node.registration.data }
      there[path] = node.registration.data
    }
    var names: Set<String> = []
    let wanted = Set(there.keys.map { String($0.dropFirst(Self.directory.count + 1)) })
    do {
      try await eventually("the wishes and nothing else", within: .seconds(10)) {
        names = Set(try await observer.children(Self.directory) ?? [])
        return names == wanted
      }
    } catch {
      throw ServerTrouble(
        description: "too many: \(names.subtracting(wanted).sorted()), missing: \(wanted.subtracting(names).sorted())")
    }
  }
}

extension History {
  /// The most nodes of one registration that were there at one moment.
  func mostOfAnyPrefix() -> Int {
    lists.flatMap { list in
      Dictionary(grouping: list) { $0.prefix { $0 != "_" } }.values.map(\.count)
    }.max() ?? 0
  }
}
