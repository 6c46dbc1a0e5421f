import HAProxyConfigGen
import HAProxyRuntime
import Reactor
import SmartStack
import TestSupport
import Testing
import ZooKeeper

@testable import SynapseAgent

/// What becomes of servers that leave or change in a running HAProxy: deleted where its release can do it (2.6 from
/// 2.6.13 on, 2.8 and later), else kept in maintenance until a reload. No other change gives them an occasion.
@Suite("servers that leave a running HAProxy", .timeLimit(.minutes(3 * patience))) @LoopActor struct DeletionTests {
  @Test func theLastServerToLeaveAQuietServiceLeaves() async throws {
    try await World.with { world in
      try await world.startProxyAndAgent(world.forgetful())
      try await world.register("one", port: world.startTask("one"))
      let two = try await world.register("two", port: world.startTask("two"))
      try await eventually("both are served") { await world.servingTasks() == ["one", "two"] }
      let reloads = world.reloads
      try await world.registrar.delete(two)
      try await expectGone("two", from: world)
      #expect(await world.request() == "one")
      #expect(world.reloads == reloads && world.failedReloads == 0)
    }
  }

  /// HAProxy refuses to delete a server that has a connection.
  @Test func aRefusedDeletionIsTriedAgain() async throws {
    try await World.with { world in
      try await world.startProxyAndAgent(world.forgetful())
      let requests = Locked(0)
      let silent = LoopbackServer { connection in
        requests.withLock { $0 += 1 }
        connection.waitForClose()
      }
      let two = try await world.register("two", port: silent.port)
      try await eventually("it is served") { await world.servingTasks() == ["two"] }
      let stream = try await ByteStream.connect(to: .tcp(host: "127.0.0.1", port: world.port), deadline: .seconds(60))
      defer { stream.close() }
      try stream.write("GET / HTTP/1.1\r\nHost: web\r\n\r\n")
      try await eventually("the request is with it") { requests.withLock { $0 } > 0 }
      try await world.register("one", port: world.startTask("one"))
      try await eventually("one is served") { await world.servingTasks() == ["one", "two"] }
      let (reloads, refusals) = (world.reloads, world.refusals)
      try await world.registrar.delete(two)
      try await eventually("it is at rest") { await world.servingTasks() == ["one"] }
      if try await world.deletesServers() {
        try await eventually("its deletion was refused twice") { world.refusals >= refusals + 2 }
        #expect(await world.inMemory()?.contains("two") == true)
      }
      stream.close()
      try await expectGone("two", from: world)
      #expect(world.reloads == reloads && world.failedReloads == 0)
    }
  }

  @Test func otherOptionsNeedNoReloadWhereServersCanBeDeleted() async throws {
    try await World.with { world in
      try await world.startProxyAndAgent(world.configuration())
      try await world.register("one", port: world.startTask("one"))
      let path = try await world.register("two", port: world.startTask("two"))
      try await eventually("both are served") { await world.servingTasks() == ["one", "two"] }
      try await eventually("the file has both") { world.servingInFile() == ["one", "two"] }
      let (reloads, id) = (world.reloads, await world.serving().first { $0.key.hasPrefix("two_") }?.value.id)
      let clients = SteadyClients(port: world.port, keeping: 0, renewing: 1)
      for limit in [7, 8, 9] {
        let backend = Backend(
          name: "two", host: "127.0.0.1", port: try #require(world.taskPort("two")),
          haproxyServerOptions: "maxconn \(limit)")
        // HAProxy lets go of a server between its requests only; else the file and a reload give it the options.
        try await world.registrar.set(path, to: RegistrationCodec.payload(backend))
        try await eventually("HAProxy has the options") {
          await world.limit(of: "two") == "\(limit)" && world.synapse?.haproxy?.isCurrent == true
        }
        try await eventually("it is served") { await world.servingTasks() == ["one", "two"] }
      }
      await clients.stop()
      #expect(clients.problems.isEmpty && clients.answers > 0, "\(clients.problems.prefix(3))")
      #expect(await world.serving().first { $0.key.hasPrefix("two_") }?.value.id == id)
      #expect(world.failedReloads == 0)
      if try await !world.deletesServers() { #expect(world.reloads > reloads) }
    }
  }

  private func expectGone(_ task: String, from world: World) async throws {
    if try await world.deletesServers() {
      try await eventually("\(task) is deleted") { await world.inMemory()?.contains(task) == false }
    } else {
      try await eventually("\(task) is at rest") { await !world.servingTasks().contains(task) }
      #expect(await world.inMemory()?.contains(task) == true)
    }
  }
}

extension World {
  /// Commands that HAProxy has refused.
  fileprivate var refusals: Double { metrics.counter("synapse_haproxy_refusals_total", help: "").value }

  fileprivate func deletesServers() async throws -> Bool {
    let version = try HAProxyVersion(await process().version) ?? HAProxyVersion(0, 0)
    return version >= HAProxyVersion(2, 8) || (HAProxyVersion(2, 6, 13)..<HAProxyVersion(2, 7)).contains(version)
  }

  /// Without a state file, which has servers that left stay in the file for a time, to keep their ids.
  fileprivate func forgetful() -> String {
    configuration(haproxy: ["audit_interval: 0.1"])
      .replacingOccurrence(of: "  state_file_path: \(proxy.path)/state.json\n", with: "")
  }

  /// The tasks whose servers HAProxy has, at rest or not; nil: it does not answer.
  fileprivate func inMemory() async -> Set<String>? {
    let running = try? await HAProxyRuntimeClient(socket: proxy.socketPath).observe().running
    return running.map { Set(($0.backends["web"] ?? [:]).keys.map { String($0.split(separator: "_")[0]) }) }
  }

  /// The connections that HAProxy opens to a task at most, as `show stat` has them.
  fileprivate func limit(of task: String) async -> String? {
    guard let stream = try? await ByteStream.connect(to: .unix(path: proxy.socketPath), deadline: .seconds(5)),
      (try? stream.write("show stat\n")) != nil, let bytes = try? await stream.readToEnd(limit: 1 << 22)
    else { return nil }
    let rows = String(decoding: bytes, as: UTF8.self).split(separator: "\n").map {
      $0.split(separator: ",", omittingEmptySubsequences: false)
    }
    guard let column = rows.first?.firstIndex(of: "slim") else { return nil }
    return rows.first { $0.count > column && $0[0] == "web" && $0[1].hasPrefix("\(task)_") }.map { String($0[column]) }
  }
}
