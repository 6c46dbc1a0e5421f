import Reactor
import SmartStack
import TestSupport
import Testing
import ZooKeeper

@testable import SynapseAgent

/// A registry that has ended the sessions of all who register: proxies see it empty before the nerves are back.
@Suite("after a lost connection", .timeLimit(.minutes(5 * patience))) @LoopActor struct SettleTests {
  /// Sessions that live for a second without their owners.
  private func registrant(_ names: [String], in world: World) async throws -> ZooKeeperClient {
    let client = ZooKeeperClient(
      ensemble: try ServerList([world.zookeeper.connection]), sessionTimeout: .seconds(1), logger: world.journal.logger)
    client.start()
    for name in names {
      let port = try world.taskPort(name) ?? world.startTask(name)
      let data = RegistrationCodec.payload(Backend(name: name, host: "127.0.0.1", port: port))
      client.want(Registration(directory: "/svc/web", name: "\(name)_", data: data))
    }
    return client
  }

  /// A world that serves four tasks, of which one session has `owned` and the others outlive all sessions.
  private func with(
    settle: Int, owned: [String], _ body: @LoopActor (World, ZooKeeperClient) async throws -> Void
  ) async throws {
    try await World.with { world in
      try await world.startProxyAndAgent(
        world.configuration(service: ["use_previous_backends: false"], more: ["settle: \(settle)"]))
      for name in ["a", "b", "c", "d"] where !owned.contains(name) {
        try await world.register(name, port: world.startTask(name))
      }
      let client = try await registrant(owned, in: world)
      try await eventually("all are served") { await world.servingTasks() == ["a", "b", "c", "d"] }
      try await body(world, client)
    }
  }

  /// The server comes back; the session of `lost` ends without its owner.
  private func lose(_ lost: ZooKeeperClient, in world: World) async throws {
    await world.zookeeper.kill()
    _ = await lost.abandon()
    try await world.zookeeper.start()
  }

  private func isPreserved(_ world: World) async -> Bool? {
    await world.synapse?.status.json(seen: nil, shortage: nil, now: 0)["services"]?.array?.first?["preserved"]?.bool
  }

  @Test func nothingIsEmptiedBeforeTheNervesAreBack() async throws {
    try await with(settle: 600, owned: ["a", "b", "c", "d"]) { world, lost in
      try await lose(lost, in: world)
      try await eventually("the directory is empty") { (try? await world.registrar.children("/svc/web")) == [] }
      // The session's nodes go one by one: how many had gone when it was said is left to chance.
      try await eventually("they are preserved") { world.journal.contains("servers preserved after a lost connection") }
      try await eventually("all are served") { await world.servingTasks() == ["a", "b", "c", "d"] }
      #expect(await isPreserved(world) == true)
      #expect(world.metrics.render().contains("synapse_services_preserved 1"))
      #expect(world.metrics.counter("synapse_preservations_total", help: "").value == 1)
      let first = try await registrant(["a"], in: world)
      try await eventually("the first is back") { try await world.registrar.children("/svc/web")?.count == 1 }
      #expect(await world.servingTasks() == ["a", "b", "c", "d"])
      // Three of four: the fourth has left.
      let others = try await registrant(["b", "c"], in: world)
      try await eventually("those that are back are served") { await world.servingTasks() == ["a", "b", "c"] }
      try await eventually("the rest is let go of") { world.journal.contains("preserved servers released") }
      #expect(await isPreserved(world) == false)
      #expect(world.metrics.render().contains("synapse_services_preserved 0"))
      await first.close()
      await others.close()
    }
  }

  /// Ten minutes of settling do not hold it back.
  @Test func aDrainMeanwhileActsAtOnce() async throws {
    try await with(settle: 600, owned: ["a"]) { world, lost in
      try await lose(lost, in: world)
      try await eventually("it is gone from HAProxy") { await world.servingTasks() == ["b", "c", "d"] }
      #expect(!world.journal.contains("servers preserved"))
      #expect(await isPreserved(world) == false)
    }
  }

  @Test func whoDoesNotReturnIsLetGoOf() async throws {
    try await with(settle: 2, owned: ["a", "b", "c", "d"]) { world, lost in
      try await lose(lost, in: world)
      try await eventually("nothing is served") { await world.servingTasks().isEmpty }
      #expect(await isPreserved(world) == false)
    }
  }

  @Test func zeroSwitchesItOff() async throws {
    try await with(settle: 0, owned: ["a", "b", "c"]) { world, lost in
      try await lose(lost, in: world)
      try await eventually("one is left") { await world.servingTasks() == ["d"] }
      #expect(!world.journal.contains("servers preserved"))
    }
  }
}
