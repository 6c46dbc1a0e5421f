import Glibc
import HAProxyConfigGen
import HAProxyRuntime
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import SynapseAgent

/// The real program under real signals, between a real registry and a real HAProxy.
@Suite("SIGUSR2", .timeLimit(.minutes(3 * patience))) @LoopActor struct ReplacementTests {
  @Test func anotherProgramTakesOverInPlaceAndNoRequestFails() async throws {
    try await withProgram { world, synapse in
      let reloads = synapse.count(of: "HAProxy reload started")
      let worker = try await HAProxyRuntimeClient(socket: world.proxy.socketPath).observe().info.pid
      let clients = SteadyClients(port: world.port)
      let askers = SteadyClients(port: try statusPort(world), target: "/status")
      var ids = await world.serving().mapValues(\.id)
      for round in 1...5 {
        let pid = synapse.pid
        // In the middle of a change: what has been served, but not written yet, must not be lost.
        let name = "late\(round)"
        try await world.register(name, port: world.startTask(name))
        try await eventually("\(name) is served") { await world.servingTasks().contains(name) }
        synapse.signal(SIGUSR2)
        try await eventually("round \(round): the next one runs") {
          synapse.count(of: "in-place upgrade started") == round && synapse.count(of: "synapse started") == round + 1
        }
        let after = "after\(round)"
        try await world.register(after, port: world.startTask(after))
        try await eventually("round \(round): it serves what is new") { await world.servingTasks().contains(after) }
        #expect(synapse.pid == pid && synapse.status == nil)
        let now = await world.serving().mapValues(\.id)
        #expect(ids.allSatisfy { now[$0.key] == $0.value })
        ids = now
      }
      let settled = clients.answers
      try await eventually("clients are still answered") { clients.answers > settled + 50 }
      await clients.stop()
      await askers.stop()
      #expect(clients.problems.isEmpty, "\(clients.problems.prefix(3))")
      #expect(askers.problems.isEmpty && askers.answers > 50, "\(askers.problems.prefix(3))")
      #expect(synapse.count(of: "HAProxy reload started") == reloads)
      #expect(try await HAProxyRuntimeClient(socket: world.proxy.socketPath).observe().info.pid == worker)
      #expect(ids.count == 11)
      synapse.signal(SIGTERM)
      try await eventually("it ends like the first") { synapse.status == .exited(0) }
    }
  }

  @Test func whatTheNewProgramWouldRefuseIsNotPutInPlace() async throws {
    try await withProgram { world, synapse in
      _ = try? world.load("haproxy: {}\nservices: {}\n")
      synapse.signal(SIGUSR2)
      try await eventually("refused") { synapse.count(of: "in-place upgrade rejected") == 1 }
      #expect(synapse.log.contains("synapse.yaml:1"))
      #expect(synapse.count(of: "in-place upgrade started") == 0)
      try await world.register("two", port: world.startTask("two"))
      try await eventually("it goes on") { await world.servingTasks() == ["one", "two"] }
    }
  }

  @Test func killedAndStartedAgainNothingIsReloaded() async throws {
    try await withProgram { world, synapse in
      let reloads = synapse.count(of: "HAProxy reload started")
      for round in 1...5 {
        await synapse.kill()
        try synapse.start()
        let name = "new\(round)"
        try await world.register(name, port: world.startTask(name))
        try await eventually("round \(round): served") { await world.servingTasks().contains(name) }
        try await eventually("round \(round): written") { world.file().contains("server \(name)_") }
      }
      #expect(synapse.count(of: "HAProxy reload started") == reloads, "\(synapse.log.suffix(8000))")
      #expect(await world.servingTasks().count == 6)
    }
  }

  @Test func commandsLookAtItAndChangeNothing() async throws {
    try await withProgram { world, _ in
      func run(_ words: String...) async throws -> (status: ChildResult.Status, text: String) {
        let result = try await ChildProcess.run(
          AgentProgram.path(of: "synapse"), arguments: words, deadline: .seconds(60))
        return (result.status, String(decoding: result.output + result.errorOutput, as: UTF8.self))
      }
      let configuration = world.proxy.path + "/synapse.yaml"
      let before = world.file()
      let status = try await run("status", "--wide", "-c", configuration)
      #expect(status.status == .exited(0), "\(status.text)")
      #expect(status.text.contains(": 1 of 1 service up; HAProxy in sync\n"), "\(status.text)")
      #expect(status.text.contains("/svc/web") && status.text.contains("one_127.0.0.1"), "\(status.text)")
      let json = try await run("status", "web", "--json", "-c", configuration)
      let report = try #require(JSONValue(Array(json.text.utf8)))
      let server = try #require(report["services"]?.array?.first?["servers"]?.array?.first)
      #expect(server["from"] == "registry" && server["up"] == true, "\(server)")
      let differences = try StatusFields.differences(of: report, from: "synapse")
      #expect(differences.isEmpty, "\(differences)")
      let valid = try await run("validate", configuration)
      #expect(valid.status == .exited(0), "\(valid.text)")
      let same = try await run("render", "--diff", "-c", configuration)
      #expect(same.status == .exited(0), "\(same.text)")
      let snapshot = world.proxy.path + "/snapshot.json"
      try writeFile(snapshot, #"{"web": [{"name": "x", "host": "10.0.0.9", "port": 9}, {"host": "a b", "port": 1}]}"#)
      let other = try await run("render", "--diff", "--snapshot", snapshot, "-c", configuration)
      #expect(other.status == .exited(1))
      #expect(other.text.contains("+\tserver x_10.0.0.9:9") && other.text.contains("-\tserver one_"), "\(other.text)")
      #expect(other.text.contains("a server is skipped"))
      let bad = world.proxy.path + "/bad.yaml"
      try writeFile(
        bad,
        String(decoding: try Files.read(configuration, limit: 1 << 20), as: UTF8.self)
          .replacingOccurrence(of: "server_options: 'maxconn 50'", with: "backend: [timeout nonsense 4s]"))
      let refused = try await run("validate", configuration, bad)
      #expect(refused.status == .exited(1))
      #expect(refused.text.contains("services.web.haproxy.backend[0]"), "\(refused.text)")
      #expect(refused.text.contains("timeout nonsense 4s"))
      #expect(try await run("status", "-c", bad).status == .exited(0))
      #expect(try await run("status", "-c", "/nowhere").status == .exited(2))
      #expect(try await run("validate", "--reload", bad).status == .exited(0))
      try writeFile(bad, "haproxy: [")
      let rejected = try await run("validate", "--reload", bad)
      #expect(rejected.status == .exited(1) && rejected.text.contains("bad.yaml:"), "\(rejected.text)")
      #expect(try await run("render").status == .exited(2))
      #expect(world.file() == before)
    }
  }

  private func statusPort(_ world: World) throws -> Int {
    let text = String(decoding: try Files.read(world.proxy.path + "/synapse.yaml", limit: 1 << 20), as: UTF8.self)
    let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("status_port: ") })
    return try #require(Int(line.dropFirst("status_port: ".count)))
  }

  private func writeFile(_ path: String, _ text: String) throws {
    try Files.write(Array(text.utf8), to: path, mode: 0o644, sync: false)
  }

  /// A synapse that serves one task by the name of `one`.
  private func withProgram(_ body: @LoopActor (World, AgentProgram) async throws -> Void) async throws {
    try await World.with { world in
      try world.proxy.write(sections: [])
      try await world.proxy.start()
      _ = try world.load(
        world.configuration(more: ["state_dir: \(world.proxy.path)", "status_port: \(try freePort())"]))
      try await world.register("one", port: world.startTask("one"))
      let synapse = AgentProgram(
        "synapse", ["-c", world.proxy.path + "/synapse.yaml", "--log-level", "debug"],
        logPath: world.proxy.path + "/synapse.log")
      try synapse.start()
      let outcome: Result<Void, any Error>
      do {
        try await eventually("one answers") { await world.request() == "one" }
        try await eventually("the file has it") { world.file().contains("server one_") }
        // A reload that is cut short is made up for by the next one: these tests are about those that are not.
        try await eventually("the reload is over") {
          try synapse.count(of: "HAProxy reload started") == synapse.count(of: "HAProxy reloaded")
            && !Files.list(world.proxy.path).contains { $0.hasPrefix("reload") }
        }
        outcome = .success(try await body(world, synapse))
      } catch {
        outcome = .failure(error)
      }
      await synapse.kill()
      do { try outcome.get() } catch { throw ServerTrouble(description: "\(error)\n\(synapse.log.suffix(8000))") }
    }
  }
}
