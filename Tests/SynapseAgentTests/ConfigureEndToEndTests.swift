import Reactor
import SmartStack
import TestSupport
import Testing
import ZooKeeper

@testable import SynapseAgent

private let isPossible = HAProxyServer.isInstalled && Files.exists("/usr/share/java/zookeeper.jar")

/// The set-up that the original is tried with, in our words: a host with its place and the services' files;
/// configure_synapse, synapse and HAProxy, and tasks that are registered under the labels that nerve gives them.
@Suite("from smartstack.yaml to traffic", .enabled(if: isPossible), .timeLimit(.minutes(3 * patience)))
struct ConfigureEndToEndTests {
  /// Services and their ports.
  private struct Ports {
    let tcp = try? freePort()
    let http = try? freePort()
    let wide = try? freePort()
    let chaos = try? freePort()
    let slow = try? freePort()

    var files: [String: String] {
      [
        "service_one/smartstack.yaml": """
        main: {mode: tcp, proxy_port: \(tcp ?? 0), timeout_connect_ms: 10000, timeout_server_ms: 11000, discover: region}
        """,
        "service_two/smartstack.yaml": """
        main:
          {proxy_port: \(http ?? 0), retries: 2, discover: habitat, advertise: [habitat], healthcheck_uri: /well,
          extra_headers: {X-Mode: ro, X-None: ''}, extra_healthcheck_headers: {X-Mode: ro, X-None: ''}, plugins: {source_required: {enabled: true}}}
        """,
        "service_three/smartstack.yaml": """
        main: {proxy_port: \(wide ?? 0), discover: habitat, advertise: [habitat, region]}
        files: {proxy_port: null}
        """,
        "service_chaos/smartstack.yaml": """
        main: {proxy_port: \(chaos ?? 0), chaos: {ecosystem: {prod: {fail: error_503}}}}
        """,
        "service_slow/smartstack.yaml": """
        main: {proxy_port: \(slow ?? 0), timeout_server_ms: 100, endpoint_timeouts: {/slow: 20000}}
        """,
      ]
    }
  }

  /// The host's files; what the tools would put below /var/run is in the test's directory.
  @LoopActor private func host(_ world: World, _ ports: Ports, hacheckPort: Int) throws -> HostFiles {
    let host = try HostFiles(
      ports.files,
      options: [
        "bind_addr": "127.0.0.1", "haproxy_config_path": .string(world.proxy.configurationPath),
        "haproxy_socket_file_path": .string(world.proxy.socketPath),
        "haproxy_reload_cmd_fmt": .string(world.proxy.reloadCommand),
        "haproxy_service_sockets_path_fmt": .string(world.proxy.path + "/{service_name}.sock"),
        "haproxy_service_proxy_sockets_path_fmt": .string(world.proxy.path + "/{service_name}.prxy"),
        "haproxy_restart_interval_s": 0, "file_output_path": .string(world.proxy.path + "/services"),
        "stats_port": .int(try freePort()), "hacheck_port": .int(hacheckPort),
        "map_dir": .string(world.proxy.path), "maximum_connections": 200,
      ])
    let server = world.zookeeper.connection.split(separator: ":")
    try host.put("zookeeper.yaml", "[[\(server[0]), \(server[1])]]")
    return host
  }

  /// The file as it was written, but for the one path that it fixes.
  private func configuration(_ host: HostFiles, _ world: World) throws -> String {
    guard var root = JSONValue(host.read("synapse.conf.json").utf8)?.object,
      var haproxy = root["haproxy"]?.object
    else { return "" }
    haproxy["state_file_path"] = .string(world.proxy.path + "/state.json")
    root["haproxy"] = .object(haproxy)
    return JSONValue.object(root).text()
  }

  @LoopActor private func register(
    _ world: World, _ service: String, _ task: String, port: Int, _ labels: Labels
  ) async throws -> String {
    let backend = Backend(name: task, host: "127.0.0.1", port: port, labels: labels)
    return try await world.put(
      RegistrationCodec.payload(backend), "/smartstack/global/\(service)/\(task)_", sequential: true)
  }

  @LoopActor private func ask(_ port: Int?, _ target: String = "/") async -> String {
    let request = HTTPRequest(endpoint: .tcp(host: "127.0.0.1", port: port ?? 0), target: target)
    guard let response = try? await HTTPClient.send(request, deadline: .seconds(20)) else { return "nothing" }
    return response.status == 200 ? String(decoding: response.body, as: UTF8.self) : "\(response.status)"
  }

  @Test @LoopActor func tasksAreReachedOnTheirPortsAndByTheirPlace() async throws {
    let hacheck = HTTPListener { $0.respond(status: 200, text: "OK") }
    defer { hacheck.close() }
    guard case .tcp(_, let hacheckPort) = try hacheck.listen(on: .tcp(host: "127.0.0.1", port: 0)) else { return }
    let slow = HTTPListener { exchange in
      _ = LoopClock.system.schedule(after: .milliseconds(600)) { exchange.respond(status: 200, text: "slow") }
    }
    defer { slow.close() }
    guard case .tcp(_, let slowPort) = try slow.listen(on: .tcp(host: "127.0.0.1", port: 0)) else { return }
    let ports = Ports()
    try await World.with { world in
      let host = try host(world, ports, hacheckPort: hacheckPort)
      #expect(try await host.configure().status == .exited(0))
      let here: Labels = ["habitat:west-1a": "", "region:west-1": "", "superregion:west": ""]
      let nextDoor: Labels = ["habitat:west-1b": "", "region:west-1": "", "superregion:west": ""]
      let farAway: Labels = ["habitat:east-1a": "", "region:east-1": "", "superregion:east": ""]
      for (service, task, labels) in [
        ("service_one.main", "one", nextDoor), ("service_two.main", "two", here),
        ("service_two.main", "two-next-door", nextDoor), ("service_three.main", "three-next-door", nextDoor),
        ("service_three.main", "three-far", farAway), ("service_three.files", "files", here),
        ("service_chaos.main", "chaos", here),
      ] {
        _ = try await register(world, service, task, port: world.startTask(task), labels)
      }
      _ = try await register(world, "service_slow.main", "slow", port: slowPort, here)
      let three = try await register(
        world, "service_three.main", "three", port: world.startTask("three"), here)
      try world.proxy.write(sections: [])
      try await world.proxy.start()
      try await world.startAgent(try configuration(host, world))
      try await eventually("services answer on their ports") {
        let answers = [
          await ask(ports.tcp), await ask(ports.http), await ask(ports.wide), await ask(ports.chaos),
          await ask(ports.slow, "/slow/x"),
        ]
        return answers == ["one", "two", "three", "503", "slow"]
      }
      // Its own habitat only, as it is advertised.
      for _ in 0..<5 { #expect(await ask(ports.http) == "two") }
      #expect(await ask(ports.slow) == "504")
      // Without a task in this habitat the region's are asked, those far away never.
      try await world.registrar.delete(three)
      try await eventually("the region takes over") { await ask(ports.wide) == "three-next-door" }
      for _ in 0..<5 { #expect(await ask(ports.wide) == "three-next-door") }
      try await eventually("the file for clients without a proxy") {
        let path = world.proxy.path + "/services/service_three.files.json"
        guard let bytes = try? Files.read(path, limit: 1 << 16) else { return false }
        return String(decoding: bytes, as: UTF8.self).contains("\"files\"")
      }
    }
  }
}
