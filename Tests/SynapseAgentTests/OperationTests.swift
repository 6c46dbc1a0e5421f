import AgentKit
import HAProxyRuntime
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import HAProxyConfigGen
@testable import SynapseAgent

@Suite("operation", .timeLimit(.minutes(3 * patience))) @LoopActor struct OperationTests {
  @Test func driftIsRepairedAndCounted() async throws {
    try await World.with { world in
      try await world.startProxyAndAgent(world.configuration(haproxy: ["audit_interval: 0.1"]))
      try await world.register("one", port: world.startTask("one"))
      try await eventually("one answers") { await world.request() == "one" }
      // Once the file has it too, nothing but an audit looks at HAProxy any more.
      try await eventually("the file has it") { world.file().contains("server one_") }
      let reloads = world.reloads
      let drifts = world.metrics.counter("synapse_haproxy_drifts_total", help: "")
      let name = try #require(await world.serving().keys.first)
      let client = HAProxyRuntimeClient(socket: world.proxy.socketPath)
      let socket = try #require(world.synapse?.haproxy?.socketSync.sockets.first)
      for round in 1...5 {
        try await eventually("round \(round): an audit has agreed") { socket.lastAgreement?.epoch == socket.epoch }
        // Whatever else looks at HAProxy meanwhile may put it right first, without counting: then once more.
        try await eventually("round \(round): it is put right and counted") {
          if drifts.value >= Double(round) { return true }
          if await world.serving()[name] != nil {
            try await client.run(SocketCommand(.setMaintenance(ServerPath(backend: "web", server: name))))
          }
          return false
        }
        try await eventually("round \(round): it serves") { await world.serving()[name] != nil }
      }
      #expect(world.journal.contains("HAProxy drift detected"))
      // Our own changes are none of somebody else's.
      let counted = drifts.value
      try await world.register("two", port: world.startTask("two"))
      try await eventually("two is served") { await world.servingTasks() == ["one", "two"] }
      #expect(drifts.value == counted)
      #expect(world.reloads == reloads)
    }
  }

  @Test func thePackagedAnswer503TellsWhatIsKnownOfTheServers() async throws {
    let path = HostFiles.root + "/packaging/etc/synapse/synapse-tools.conf.json"
    let packaged = JSONValue(try Files.read(path, limit: 1 << 20))
    let lines = packaged?["haproxy_extra_lines"]?["defaults"]?.array?.compactMap(\.string) ?? []
    let line = try #require(lines.first { $0.hasPrefix("http-error") })
    try await World.with { world in
      try await world.startProxyAndAgent(
        world.configuration().replacingOccurrence(of: "- retries 2\n", with: "- retries 0\n    - '\(line)'\n"))
      func answer() async -> String {
        let request = HTTPRequest(endpoint: .tcp(host: "127.0.0.1", port: world.port), target: "/")
        let response = try? await HTTPClient.send(request, deadline: .seconds(5))
        return response?.status == 503 ? String(decoding: response?.body ?? [], as: UTF8.self) : ""
      }
      let reloads = world.reloads
      #expect(await answer().hasPrefix("503: 0 servers of web are in service on "))
      #expect(await answer().contains(": none is registered or all are drained or their checks fail. There "))
      try await world.register("gone", port: try freePort())
      try await eventually("it is served") { await world.servingTasks() == ["gone"] }
      #expect(await answer().hasPrefix("503: 1 servers of web are in service on "))
      #expect(await answer().contains(" but none has taken the request. There `synapse status web` says more."))
      #expect(world.reloads == reloads)
    }
  }

  @Test func theMasterSocketReloads() async throws {
    try await World.with { world in
      try await world.startProxyAndAgent(
        world.configuration(haproxy: ["master_socket: \(world.proxy.masterSocketPath)"]))
      try await world.register("one", port: world.startTask("one"))
      try await eventually("one answers") { await world.request() == "one" }
      #expect(world.journal.contains("reload at \(world.proxy.masterSocketPath)"))
      let processes = try await MasterSocket(path: world.proxy.masterSocketPath).processes(within: .seconds(10))
      #expect(processes.current.count == 1 && processes.failedReloads == 0)
      #expect(world.failedReloads == 0)
    }
  }

  @Test func aFoldReloadMakesAddedServersTheFilesOwnAndSavesTheirState() async throws {
    try await World.with { world in
      let state = world.proxy.path + "/servers.state"
      let text = world.configuration(haproxy: ["fold_interval: 0.01"])
        .replacingOccurrence(of: "  global:\n", with: "  global:\n    - server-state-file \(state)\n")
        .replacingOccurrence(of: "  defaults:\n", with: "  defaults:\n    - load-server-state-from-file global\n")
      try await world.startProxyAndAgent(text)
      try await world.register("one", port: world.startTask("one"))
      try await eventually("one answers") { await world.request() == "one" }
      let output = try #require(world.synapse?.haproxy)
      try await eventually("the file has it") { world.file().contains("server one_") }
      #expect(output.socketSync.sockets.first?.addedServers == 1)
      let reloads = world.reloads
      try await eventually("it is reloaded") {
        output.everyMinute()
        return world.reloads == reloads + 1
      }
      try await eventually("nothing is left to fold") { output.socketSync.sockets.first?.addedServers == 0 }
      #expect(output.reloads.history.last?.reason == "servers added at run time become the file's")
      #expect(String(decoding: try Files.read(state, limit: 1 << 20), as: UTF8.self).contains("one_127.0.0.1"))
      #expect(await world.servingTasks() == ["one"])
      output.everyMinute()
      #expect(!output.reloads.isFoldPlanned)
    }
  }

  @Test func statusAndMetricsAreServed() async throws {
    try await World.with { world in
      try await world.startProxyAndAgent(world.configuration())
      try await world.register("<one>", port: world.startTask("one"), at: "/svc/web")
      try await world.register("one", port: world.startTask("one"))
      try await eventually("one answers") { await world.request() == "one" }
      let state = StateDirectory(configured: world.proxy.path, agent: "synapse")
      let server = try #require(world.synapse).makeStatusServer(
        state, metrics: world.metrics, logger: world.journal.logger)
      let path = world.proxy.path + "/status.sock"
      let endpoint = Endpoint.unix(path: path)
      server.listen(in: state, instance: "one")
      func ask(_ target: String, _ method: String = "GET") async throws -> (status: Int, text: String) {
        let request = HTTPRequest(method: method, endpoint: endpoint, target: target)
        let response = try await HTTPClient.send(request, deadline: .seconds(20))
        return (response.status, String(decoding: response.body, as: UTF8.self))
      }
      let report = try #require(JSONValue(Array(try await ask("/status").text.utf8)))
      #expect(report["haproxy"]?["reloads"]?.array?.count == 1)
      #expect(report["haproxy"]?["sockets"]?.array?.first?["pid"]?.int != nil)
      let lines = Set(try await ask("/metrics").text.split(separator: "\n").map(String.init))
      for line in [
        "synapse_haproxy_reloads_total{result=\"good\"} 1", "synapse_haproxy_reloads_total{result=\"failed\"} 0",
        "synapse_services_without_data 0", "synapse_services_without_servers 0",
      ] { #expect(lines.contains(line), "\(line) is among the metrics") }
      try await eventually("HAProxy is in sync") {
        try await ask("/metrics").text.contains("\nsynapse_haproxy_is_current 1\n")
      }
      await world.proxy.stop()
      try await world.register("two", port: 1)
      try await eventually("it is not, without HAProxy") {
        try await ask("/metrics").text.contains("\nsynapse_haproxy_is_current 0\n")
      }
      let page = try await ask("/")
      #expect(page.status == 200 && page.text.contains("one_127.0.0.1") && !page.text.contains("<one>"))
      #expect(try await ask("/nothing").status == 404)
      #expect(try await ask("/status", "POST").status == 405)
      server.close()
      #expect(!Files.exists(world.proxy.path + "/status.sock"))
    }
  }
}
