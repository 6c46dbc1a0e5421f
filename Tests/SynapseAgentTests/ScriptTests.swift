import Reactor
import SmartStack
import TestSupport
import Testing

@testable import SynapseAgent

/// The shipped Lua scripts inside a real HAProxy, as configure_synapse makes it load them.
@Suite("Lua scripts", .enabled(if: HAProxyServer.isInstalled), .timeLimit(.minutes(2 * patience))) struct ScriptTests {
  /// A HAProxy with one service `web.main` and tasks that tell what reached them.
  @LoopActor private final class Proxy {
    let server = HAProxyServer()
    let port: Int
    private var tasks: [HTTPListener] = []

    init() throws { port = try freePort() }

    /// A task that answers with its name and the header X-Smartstack-Origin.
    func task(_ name: String) throws -> String {
      let listener = HTTPListener { exchange in
        let origins = exchange.headers("X-Smartstack-Origin").joined(separator: "+")
        exchange.respond(status: 200, text: "\(name) \(origins)")
      }
      tasks.append(listener)
      guard case .tcp(_, let port) = try listener.listen(on: .tcp(host: "127.0.0.1", port: 0)) else { return "" }
      return "server \(name) 127.0.0.1:\(port)"
    }

    func start(scripts: [String], environment: [String] = [], _ sections: [String]) async throws {
      var lines = ["global"] + server.globalLines
      lines += ["log stdout format raw local0 info", "setenv map_file \(server.path)/ip_to_service.map"]
      lines += ["setenv map_refresh_interval 1"] + environment.map { "setenv \($0)" }
      lines += scripts.map { "lua-load \(HostFiles.scripts)/\($0)" }
      lines += ["defaults"] + HAProxyServer.defaultsLines + ["timeout tarpit 50ms", "log global"] + sections
      try server.write(lines.joined(separator: "\n") + "\n")
      try await server.start()
    }

    func map(_ name: String, _ text: String) throws {
      try Files.write(Array(text.utf8), to: "\(server.path)/\(name)", mode: 0o644, sync: false)
    }

    func ask(_ target: String = "/", _ headers: [HTTPHeader] = []) async throws -> (status: Int, text: String) {
      let request = HTTPRequest(endpoint: .tcp(host: "127.0.0.1", port: port), target: target, headers: headers)
      let response = try await HTTPClient.send(request, deadline: .seconds(20))
      return (response.status, String(decoding: response.body, as: UTF8.self))
    }

    func stop() async {
      await server.stop()
      for task in tasks { task.close() }
    }
  }

  @LoopActor private func withProxy(_ body: @LoopActor (Proxy) async throws -> Void) async throws {
    let proxy = try Proxy()
    let outcome: Result<Void, any Error>
    do { outcome = .success(try await body(proxy)) } catch { outcome = .failure(error) }
    await proxy.stop()
    try outcome.get()
  }

  @Test @LoopActor func aServiceLearnsWhoAsks() async throws {
    try await withProxy { proxy in
      try proxy.map("ip_to_service.map", "# who is who\n127.0.0.1 shop.main task-1\n\n10.0.0.9\n")
      try await proxy.start(
        scripts: ["add_source_header.lua"],
        [
          "frontend web.main", "bind 127.0.0.1:\(proxy.port)", "default_backend web.main", "backend web.main",
          "http-request lua.add_source_header", try proxy.task("task"),
        ])
      // What the client claims is not passed on.
      let claim = HTTPHeader(name: "X-Smartstack-Origin", value: "bank.main")
      #expect(try await proxy.ask("/", [claim, claim]) == (200, "task shop.main"))
      try proxy.map("ip_to_service.map", "127.0.0.1 other.main\n")
      try await eventually("the map is read again") { try await proxy.ask().text == "task other.main" }
      try proxy.map("ip_to_service.map", "10.0.0.1 other.main\n")
      try await eventually("an unknown client") { try await proxy.ask("/", [claim]).text == "task 0" }
    }
  }

  @Test @LoopActor func theMapCanBeSeen() async throws {
    try await withProxy { proxy in
      try proxy.map("ip_to_service.map", "127.0.0.1 b.main\n10.0.0.1 a\"\\.main\n")
      try await proxy.start(
        scripts: ["log_requests.lua", "add_source_header.lua"],
        ["listen map.debug", "bind 127.0.0.1:\(proxy.port)", "http-request use-service lua.map-debug"])
      let (status, text) = try await proxy.ask()
      #expect(status == 200)
      #expect(JSONValue(text.utf8) == ["10.0.0.1": "a\"\\.main", "127.0.0.1": "b.main"])
    }
  }

  @Test("who asks whom is logged", arguments: [("1", true), ("0", false)])
  @LoopActor func provenance(_ rate: String, _ isLogged: Bool) async throws {
    try await withProxy { proxy in
      try await proxy.start(
        scripts: ["log_requests.lua"], environment: ["sample_rate 0.5", "sample_rate \(rate)"],
        [
          "frontend web.main", "bind 127.0.0.1:\(proxy.port)", "option httplog", "default_backend web.main",
          "backend web.main", "http-request lua.init_logging", "http-request lua.log_provenance",
          try proxy.task("task"),
        ])
      // Without a map a client is its address.
      #expect(try await proxy.ask().status == 200)
      try await eventually("the request's own line") { proxy.server.log.contains { $0.contains("\"GET / HTTP/1.1\"") } }
      // HAProxy also writes what scripts log to standard error.
      let lines = proxy.server.log.filter { $0.contains("provenance") && !$0.contains("[info]") }
      #expect(lines.count == (isLogged ? 1 : 0))
      if isLogged { #expect(lines.first?.contains("provenance 127.0.0.1 web.main") == true) }
    }
  }

  @Test @LoopActor func pathsLeadToBackends() async throws {
    try await withProxy { proxy in
      try proxy.map(
        "path_to_backend.map",
        "web.main /api api.main\nweb.main /api/v2/ v2.main\nweb.main /gone gone.main\nweb.main /down down.main\n"
          + "other.main /x v2.main\n# web.main /note v2.main\n")
      try await proxy.start(
        scripts: ["path_based_routing.lua"],
        [
          "frontend web.main", "bind 127.0.0.1:\(proxy.port)",
          "http-request set-var(txn.backend_name) lua.get_backend", "use_backend %[var(txn.backend_name)]",
          "backend web.main", try proxy.task("own"), "backend api.main", try proxy.task("api"), "backend v2.main",
          try proxy.task("v2"), "backend down.main", try proxy.task("down") + " disabled",
        ])
      let expected = [
        "/": "own", "/api": "api", "/api/x": "api", "/apis": "own", "/api/v2": "v2", "/api/v2/y?z": "v2",
        "/gone": "own", "/down": "own", "/x": "own", "/note": "own",
      ]
      for (path, name) in expected { #expect(try await proxy.ask(path).text == name + " ", "\(path)") }
      try proxy.map("path_to_backend.map", "web.main / v2.main\n")
      try await eventually("the map is read again") { try await proxy.ask().text == "v2 " }
    }
  }

  @Test @LoopActor func aFullServiceIsServedFromItsOtherLocations() async throws {
    try await withProxy { proxy in
      try await proxy.start(
        scripts: ["path_based_routing.lua"],
        [
          "frontend web.main", "bind 127.0.0.1:\(proxy.port)",
          "http-request set-var(txn.backend_name) lua.get_backend", "use_backend %[var(txn.backend_name)]",
          "backend web.main", try proxy.task("own") + " disabled", "backend web.main.__slow_timeouts",
          try proxy.task("slow"), "backend web.main.superregion", try proxy.task("wide"),
        ])
      #expect(try await proxy.ask().text == "wide ")
    }
  }

  @Test @LoopActor func aRequestCanBeMadeToFail() async throws {
    try await withProxy { proxy in
      try await proxy.start(
        scripts: [],
        [
          "frontend web.main", "bind 127.0.0.1:\(proxy.port)", "default_backend web.main", "backend web.main",
          "acl to_be_tarpitted hdr_sub(X-Ctx-Tarpit) -i web.main", "http-request tarpit if to_be_tarpitted",
          try proxy.task("task"),
        ])
      #expect(try await proxy.ask("/", [HTTPHeader(name: "X-Ctx-Tarpit", value: "a,WEB.main")]).status == 500)
      #expect(try await proxy.ask("/", [HTTPHeader(name: "X-Ctx-Tarpit", value: "a")]).status == 200)
    }
  }
}
