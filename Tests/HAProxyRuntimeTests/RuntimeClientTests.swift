import Glibc
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import HAProxyConfigGen
@testable import HAProxyRuntime

/// Long enough for a machine that has much else to do: the tests that use it end by themselves.
private let noHurry: Duration = .seconds(50)

private func path(_ name: String) -> ServerPath {
  let parts = name.split(separator: "/")
  return ServerPath(backend: String(parts[0]), server: String(parts[1]))
}

extension HAProxyRuntimeClient {
  /// Runs planned changes.
  fileprivate func apply(_ changes: [RuntimeCommand]) async throws -> [Result<String, HAProxyRuntimeError>] {
    try await run(changes.map { change throws(HAProxyRuntimeError) in try SocketCommand(change) })
  }
}

@Suite("the client against a scripted socket", .timeLimit(.minutes(5 * patience)))
struct ScriptedClientTests {
  @Test @LoopActor func aBatchIsOneConnectionAndOneLine() async throws {
    let socket = ScriptedSocket([.send("\n> \n> No such server.\n"), .send("\n> ")])
    let client = HAProxyRuntimeClient(socket: socket.path, deadline: noHurry)
    let outcomes = try await client.apply([
      .setMaintenance(path("b/s")), .setReady(path("b/t")),
    ])
    #expect(
      outcomes == [
        .success(""),
        .failure(.refused(command: "set server b/t state ready", reply: "No such server.")),
      ])
    #expect(socket.lines == ["prompt;set server b/s state maint;set server b/t state ready"])
  }

  @Test @LoopActor func allWhoAskShareStatisticsAndOldOnesStandWhileHAProxyIsSlow() async throws {
    let state = Locked((questions: 0, isSilent: false))
    let socket = ScriptedSocket([
      .reply { command in
        guard command == "show stat -1 4 -1" else { return "" }
        let number = state.withLock { state in
          state.questions += 1
          return state.questions
        }
        while state.withLock({ $0.isSilent }) { _ = poll(nil, 0, 1) }
        return "# pxname,svname,status\nweb,s\(number),UP"
      }
    ])
    let client = HAProxyRuntimeClient(socket: socket.path, deadline: noHurry)
    func names() async -> [String]? { try? await client.statistics().servers.map(\.name) }
    async let one = client.statistics()
    async let other = client.statistics()
    #expect(try await one.servers.map(\.name) == ["s1"])
    #expect(try await other.counts == ["web": ["up": 1, "down": 0, "maint": 0, "other": 0]])
    state.withLock { $0.isSilent = true }
    try await eventually("HAProxy is asked again") {
      #expect(await names() == ["s1"])
      return state.withLock { $0.questions } == 2
    }
    #expect(await names() == ["s1"])
    #expect(state.withLock { $0.questions } == 2)
    state.withLock { $0.isSilent = false }
    try await eventually("its answer counts") { await names() != ["s1"] }
  }

  @Test @LoopActor func aRefusalOfOneCommandIsAnError() async throws {
    let socket = ScriptedSocket([.send("\n> No such server.\n\n> ")])
    let client = HAProxyRuntimeClient(socket: socket.path, deadline: noHurry)
    let error = await #expect(throws: HAProxyRuntimeError.self) {
      try await client.run(SocketCommand(.setWeight(path("b/s"), 1)))
    }
    #expect(error?.description == "HAProxy refused `set server b/s weight 1`: No such server.")
  }

  @Test @LoopActor func aShortReplyIsNoSuccess() async throws {
    let socket = ScriptedSocket([.send("\n> \n> ")])
    let client = HAProxyRuntimeClient(socket: socket.path, deadline: noHurry)
    let error = await #expect(throws: HAProxyRuntimeError.self) {
      try await client.apply([
        .setMaintenance(path("b/s")), .setMaintenance(path("b/t")),
      ])
    }
    #expect(error == .closed(command: "set server b/t state maint"))
    #expect(
      error?.description
        == "HAProxy closed the connection before it had answered `set server b/t state maint`")
  }

  @Test @LoopActor func anEndWithinAReplyIsNoSuccess() async throws {
    let socket = ScriptedSocket([.send("\n> Name: HAProxy\nVersion: 2.6.12\nPid: 1\n")])
    let client = HAProxyRuntimeClient(socket: socket.path, deadline: noHurry)
    let error = await #expect(throws: HAProxyRuntimeError.self) { try await client.run(.showInfo) }
    #expect(error == .closed(command: "show info"))
  }

  @Test @LoopActor func silenceIsAnErrorAtTheDeadline() async throws {
    let socket = ScriptedSocket([.send("\n> "), .hang])
    let client = HAProxyRuntimeClient(socket: socket.path, deadline: .seconds(3))
    let error = await #expect(throws: HAProxyRuntimeError.self) { try await client.run(.showInfo) }
    // On a machine that is busy enough the time is up before the prompt was read.
    let commands = ["show info", "prompt"]
    #expect(commands.contains { error == .timedOut(command: $0, after: .seconds(3)) })
    #expect(commands.contains { error?.description == "HAProxy did not answer `\($0)` within 3.0 seconds" })
  }

  @Test @LoopActor func nobodyListeningIsNamedWithTheSocket() async throws {
    let directory = TemporaryDirectory()
    let client = HAProxyRuntimeClient(socket: directory.path + "/none")
    let error = await #expect(throws: HAProxyRuntimeError.self) { try await client.run(.showInfo) }
    #expect(
      error?.description
        == "cannot reach HAProxy at \(directory.path)/none: No such file or directory (if HAProxy runs, the file was removed: "
        + "only a restart of HAProxy makes it again); "
        + "is `stats socket \(directory.path)/none level admin` in its configuration?")
  }

  @Test @LoopActor func noCommandsOpenNoConnection() async throws {
    let client = HAProxyRuntimeClient(socket: "/nonexistent")
    #expect(try await client.run([]).isEmpty)
  }
}

@Suite("the client against a real HAProxy", .enabled(if: HAProxyServer.isInstalled), .timeLimit(.minutes(2 * patience)))
struct RealClientTests {
  @LoopActor private func withProxy(
    _ body: @LoopActor (HAProxyServer, HAProxyRuntimeClient) async throws -> Void
  ) async throws {
    let proxy = HAProxyServer()
    try proxy.write(sections: [
      "frontend web", "  bind 127.0.0.1:\(try freePort())", "  default_backend web", "backend web",
      "  option httpchk GET /status", "  server a_127.0.0.1:1001 127.0.0.1:1001 id 7 weight 5 check inter 1h",
      "  server b_127.0.0.1:1002 127.0.0.1:1002 id 8 disabled", "backend empty",
    ])
    try await proxy.start()
    do { try await body(proxy, HAProxyRuntimeClient(socket: proxy.socketPath)) } catch {
      await proxy.stop()
      throw error
    }
    await proxy.stop()
  }

  @Test @LoopActor func observesProcessBackendsAndServers() async throws {
    try await withProxy { _, client in
      let seen = try await client.observe()
      #expect(seen.info.pid > 0)
      #expect(seen.running.version >= HAProxyVersion(2, 0))
      #expect(seen.running.backends.keys.sorted() == ["empty", "web"])
      let servers = try #require(seen.running.backends["web"])
      #expect(servers["a_127.0.0.1:1001"]?.id == 7 && servers["b_127.0.0.1:1002"]?.id == 8)
      #expect(servers["a_127.0.0.1:1001"]?.weight == 5)
      #expect(servers["a_127.0.0.1:1001"]?.checkState.contains(.configured) == true)
      #expect(servers["b_127.0.0.1:1002"]?.adminState.contains(.forcedMaintenance) == true)
    }
  }

  @Test @LoopActor func everyChangeDoesWhatItSays() async throws {
    try await withProxy { _, client in
      let outcomes = try await client.apply([
        .setWeight(path("web/a_127.0.0.1:1001"), 9),
        .setMaintenance(path("web/a_127.0.0.1:1001")),
        .setReady(path("web/b_127.0.0.1:1002")),
        .setAddress(path("web/b_127.0.0.1:1002"), host: "127.0.0.2", port: 1003),
        .addServer(
          path("empty/c"), address: "127.0.0.3:1004",
          options: ["check", "inter", "1h", "weight", "3", "id", "40"]),
        .enableHealth(path("empty/c")),
        .setReady(path("empty/c")),
      ])
      #expect(outcomes.allSatisfy { if case .success = $0 { true } else { false } }, "\(outcomes)")
      let backends = try await client.observe().running.backends
      let (a, b) = (backends["web"]?["a_127.0.0.1:1001"], backends["web"]?["b_127.0.0.1:1002"])
      #expect(a?.weight == 9 && a?.adminState.contains(.forcedMaintenance) == true)
      #expect(b?.adminState.contains(.forcedMaintenance) == false)
      #expect(b?.address == "127.0.0.2" && b?.port == 1003)
      let c = backends["empty"]?["c"]
      #expect(c?.id == 40 && c?.weight == 3 && c?.adminState == [])
      #expect(c?.checkState.contains(.enabled) == true)
    }
  }

  @Test @LoopActor func refusalsAreNamedOneByOne() async throws {
    try await withProxy { _, client in
      let outcomes = try await client.apply([
        .setWeight(path("web/nobody"), 9),
        .addServer(path("empty/c"), address: "127.0.0.3:1004", options: ["chek"]),
        .setWeight(path("web/a_127.0.0.1:1001"), 9),
        .addServer(path("empty/d"), address: "127.0.0.3:1004", options: ["tcp-ut", "5s"]),
        .deleteServer(path("web/a_127.0.0.1:1001"), isOptional: false),
      ])
      let complaints = outcomes.map { outcome in
        if case .failure(.refused(_, let reply)) = outcome { reply } else { "" }
      }
      #expect(
        complaints == [
          "No such server.", "unknown keyword 'chek'; did you mean 'check' maybe ?", "",
          "'tcp-ut' option is not accepted for dynamic server", "Only servers in maintenance mode can be deleted.",
        ])
    }
  }

  @Test @LoopActor func aThousandCommandsAreOneConnection() async throws {
    try await withProxy { _, client in
      let before = try await client.run(.showInfo)
      let outcomes = try await client.apply(
        (1...1000).map { .addServer(path("empty/s\($0)"), address: "127.0.0.1:\($0)", options: ["weight", "1"]) })
      #expect(outcomes.count == 1000)
      #expect(outcomes.allSatisfy { $0 == .success("New server registered.") })
      #expect(try await client.observe().running.backends["empty"]?.count == 1000)
      #expect(!before.isEmpty)
    }
  }

  @Test @LoopActor func anotherProcessAnswersAfterAReload() async throws {
    try await withProxy { proxy, client in
      let before = try await client.observe().info.pid
      let result = try await ChildProcess.run(
        "/bin/sh", arguments: ["-c", proxy.reloadCommand], deadline: .seconds(10))
      #expect(result.status == .exited(0))
      try await eventually("a new worker answers") {
        guard let now = try? await client.observe().info.pid else { return false }
        return now != before
      }
    }
  }
}
