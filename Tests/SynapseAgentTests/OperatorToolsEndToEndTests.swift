import Glibc
import Reactor
import SmartStack
import TestSupport
import Testing
import ZooKeeper

@testable import SynapseAgent

private let isPossible = HAProxyServer.isInstalled && Files.exists("/usr/share/java/zookeeper.jar")

/// The operators' commands as they are installed, on a host with everything real: nerve with hacheck, ZooKeeper,
/// configure_synapse's file, synapse, HAProxy with its stats page.
@Suite("operators' commands", .enabled(if: isPossible), .timeLimit(.minutes(3 * patience)))
struct OperatorToolsEndToEndTests {
  /// What the commands are told of the host.
  @LoopActor private struct Host {
    let world: World
    let files: HostFiles
    let statsPort: Int
    let hacheckPort: Int
    let servicePort: Int

    init(_ world: World) throws {
      self.world = world
      (statsPort, hacheckPort, servicePort) = (try freePort(), try freePort(), try freePort())
      files = try HostFiles(
        [
          "web/smartstack.yaml": """
          main: {proxy_port: \(servicePort), discover: habitat, advertise: [habitat, region]}
          idle: {proxy_port: null}
          """
        ],
        options: [
          "bind_addr": "127.0.0.1", "haproxy_config_path": .string(world.proxy.configurationPath),
          "haproxy_socket_file_path": .string(world.proxy.socketPath),
          "haproxy_reload_cmd_fmt": .string(world.proxy.reloadCommand),
          "haproxy_service_sockets_path_fmt": .string(world.proxy.path + "/{service_name}.sock"),
          "haproxy_service_proxy_sockets_path_fmt": .string(world.proxy.path + "/{service_name}.prxy"),
          "haproxy_restart_interval_s": 0, "file_output_path": .string(world.proxy.path + "/services"),
          "stats_port": .int(statsPort), "hacheck_port": .int(hacheckPort), "map_dir": .string(world.proxy.path),
          "maximum_connections": 200,
        ])
      let server = world.zookeeper.connection.split(separator: ":")
      try files.put("zookeeper.yaml", "[[\(server[0]), \(server[1])]]")
      try files.put("topology/infrastructure/west.yaml", "[[\(server[0]), \(server[1])]]")
      try files.put(
        "nail/services/location_mapping.json",
        #"{"west_superregion": {"west-1_region": {"west-1a_habitat": {}, "west-1b_habitat": {}}}}"#)
    }

    /// The links of an installation.
    func link() throws {
      try files.put("bin/.keep", "")
      for (name, program) in [
        "updown_service": "nerve", "hadown": "nerve", "clean_nerve": "nerve", "smartstack-status": "synapse",
        "synapse": "synapse",
      ] {
        guard symlink(BuiltProgram.path(program), files.path + "/bin/" + name) == 0 else {
          throw ServerTrouble(description: "no link \(name): errno \(errno)")
        }
      }
    }

    /// nerve with two tasks of `web.main` here, checked through its hacheck.
    func startNerve(_ ports: [Int]) throws -> AgentProgram {
      let services = ports.map { port -> String in
        #"""
        "web.main.\#(port)": {"host": "127.0.0.1", "port": \#(port), "zk_hosts": ["\#(world.zookeeper.connection)"],
          "zk_path": "/smartstack/global/web.main", "check_interval": 0.1,
          "labels": {"habitat:west-1a": "", "region:west-1": ""},
          "checks": [{"type": "http", "host": "127.0.0.1", "port": \#(hacheckPort), "uri": "/http/web.main/\#(port)/status",
                      "timeout": 5, "open_timeout": 5}]}
        """#
      }
      try files.put("state/.keep", "")
      try files.put(
        "nerve.conf.json",
        #"""
        {"instance_id": "here", "state_dir": "\#(files.path)/state", "hacheck": {"port": \#(hacheckPort),
         "bind_address": "127.0.0.1", "spool_root": "\#(files.path)/spool", "config": "\#(files.path)/hacheck.yaml"},
         "services": {\#(services.joined(separator: ","))}}
        """#)
      try files.put("hacheck.yaml", "cache_time: 0\n")
      let nerve = AgentProgram("nerve", ["-c", files.path + "/nerve.conf.json"], logPath: files.path + "/nerve.log")
      try nerve.start()
      return nerve
    }

    /// synapse's configuration as configure_synapse wrote it, but for the path that it fixes.
    func synapseConfiguration() throws -> String {
      guard var root = JSONValue(files.read("synapse.conf.json").utf8)?.object,
        var haproxy = root["haproxy"]?.object
      else { throw ServerTrouble(description: "configure_synapse wrote nothing") }
      haproxy["state_file_path"] = .string(world.proxy.path + "/state.json")
      root["haproxy"] = .object(haproxy)
      return JSONValue.object(root).text()
    }

    /// Runs a command by the name it is installed under: its status and both outputs.
    func run(_ name: String, _ words: [String]) async throws -> (status: Int32, output: String, complaint: String) {
      let result = try await ChildProcess.run(
        files.path + "/bin/" + name, arguments: words,
        environment: [
          "SOA_DIR": files.path + "/soa", "HACHECK_SPOOL_ROOT": files.path + "/spool", "USER": "operator",
          "HAPROXY_STATS_ADDRESS": "127.0.0.1:\(statsPort)", "ZK_TOPOLOGY_DIR": files.path + "/topology",
        ], deadline: .seconds(90))
      guard case .exited(let status) = result.status else { throw ServerTrouble(description: "\(result.status)") }
      return (
        status, String(decoding: result.output, as: UTF8.self), String(decoding: result.errorOutput, as: UTF8.self)
      )
    }

    func status(_ words: String...) async throws -> (status: Int32, output: String, complaint: String) {
      try await run(
        "smartstack-status",
        [
          "--location-dir", files.path + "/nail", "--zk-topology-path",
          files.path + "/zookeeper.yaml",
          "--haproxy", "127.0.0.1:\(statsPort)",
        ] + words)
    }

    func updown(_ words: String...) async throws -> (status: Int32, output: String, complaint: String) {
      try await run("updown_service", ["-w", "0", "-t", "60"] + words)
    }
  }

  /// A host with two tasks here and one next door, all up.
  @LoopActor private func withHost(_ body: (Host, [Int]) async throws -> Void) async throws {
    try await World.with { world in
      let host = try Host(world)
      try host.link()
      #expect(try await host.files.configure().status == .exited(0))
      let ports = [try world.startTask("one"), try world.startTask("two")]
      let nextDoor = Backend(
        name: "next-door", host: "127.0.0.1", port: try world.startTask("three"),
        labels: ["habitat:west-1b": "", "region:west-1": ""])
      try await world.put(
        RegistrationCodec.payload(nextDoor), "/smartstack/global/web.main/next-door_", sequential: true)
      let nerve = try host.startNerve(ports)
      try world.proxy.write(sections: [])
      try await world.proxy.start()
      try await world.startAgent(try host.synapseConfiguration())
      let outcome: Result<Void, any Error>
      do {
        try await eventually("all three are up") {
          let (status, output, _) = try await host.status("--expected", "4", "web.main")
          return status == 0 && output.contains("west-1a - Healthy - in haproxy with (2/2)") && output.contains("(1/2)")
        }
        outcome = .success(try await body(host, ports))
      } catch {
        outcome = .failure(ServerTrouble(description: "\(error)\n\(nerve.log)"))
      }
      nerve.signal(SIGTERM)
      await nerve.kill()
      try outcome.get()
    }
  }

  @Test @LoopActor func reportsAndDrains() async throws {
    try await withHost { host, ports in
      let healthy = try await host.status("web.main")
      #expect(
        healthy.output == """
          web.main, by habitat:
              west-1a - Healthy - in haproxy with (2/2) total backends UP in this namespace.
              west-1b - Healthy - in haproxy with (1/1) total backends UP in this namespace.

          """)
      #expect(healthy.status == 0 && healthy.complaint.isEmpty)

      let down = try await host.updown("web.main:\(ports[0])", "down")
      #expect(down.status == 0, "\(down)")
      #expect(down.output.hasSuffix("Service entered state 'down'\nSleeping for an additional 0s\n"))
      // Without a number expected, what is registered is: the task that is drained is not.
      let drained = try await host.status("web.main")
      #expect(drained.output.contains("west-1a - Healthy - in haproxy with (1/1)"), "\(drained)")
      let check = try await host.status("--check", "-c", "60", "--expected", "4", "web.main")
      #expect(check.status == 2)
      #expect(
        check.output.hasPrefix(
          """
          - Service web.main has 1 out of 2 expected instances in west-1a (CRITICAL: 50%)
          - Service web.main has 1 out of 2 expected instances in west-1b (CRITICAL: 50%)

          """), "\(check)")
      let warned = try await host.status("--check", "-w", "60", "--expected", "4", "web.main")
      #expect(warned.status == 1 && warned.output.contains("(WARNING: 50%)"), "\(warned)")
      let verbose = try await host.status("-v", "web.main")
      #expect(verbose.output.contains("      here_127.0.0.1:\(ports[1])"), "\(verbose)")

      let up = try await host.updown("web.main:\(ports[0])", "up")
      #expect(up.status == 0 && up.output.contains("Service entered state 'up'\n"), "\(up)")
      try await eventually("both are up") { try await host.status("web.main").output.contains("(2/2)") }
      // All tasks of the host, as a deploy script means it.
      #expect(try await host.updown("web.main", "down").status == 0)
      let gone = try await host.status("--check", "--location", "west-1a", "web.main")
      #expect(gone.status == 2 && gone.output.contains("has 0 out of 1 expected instances in west-1a"), "\(gone)")
      #expect(try await host.updown("-x", "web.main", "down").status == 0)
      let vain = try await host.updown("-x", "-t", "1", "web.main:\(ports[1])", "up")
      #expect(vain.status == 1 && vain.output == ".\nService failed to enter state 'up'\n", "\(vain)")
      #expect(vain.complaint.hasPrefix("HAProxy has here_127.0.0.1:\(ports[1]) MAINT"), "\(vain)")
      // One that is drained by itself, as PaaSTA does, stays so, and does not hold up the others.
      let mark = try await host.run(
        "hadown", ["--spool-root", host.files.path + "/spool", "-P", "\(ports[0])", "web.main"])
      #expect(mark.status == 0)
      let others = try await host.updown("web.main", "up")
      #expect(others.status == 0, "\(others)")
      #expect(try await host.status("web.main").output.contains("west-1a - Healthy - in haproxy with (1/1)"))
    }
  }

  @Test @LoopActor func otherFormsAndSources() async throws {
    try await withHost { host, _ in
      let json = JSONValue(try await host.status("--json", "web.main").output.utf8)
      let locations = json?["services"]?.array?.first?["locations"]?.array ?? []
      #expect(locations.map { $0["location"]?.string } == ["west-1a", "west-1b"])
      #expect(locations.map { $0["up"]?.int } == [2, 1])
      #expect(locations.first?["haproxy"]?.string == "127.0.0.1:\(host.statsPort)")

      let registry = try await host.status("--source", "registry", "--synapse-config", host.files.output, "web.main")
      #expect(registry.output.contains("west-1a - Healthy - in registry with (2/2)"), "\(registry)")
      #expect(registry.output.contains("west-1b - Healthy - in registry with (1/1)"), "\(registry)")
      let proxy = try await host.status(
        "--source", "haproxy", "--expected", "2", "--haproxy", "x=127.0.0.1:\(host.statsPort)", "web.main")
      #expect(proxy.output.contains("west-1a - Healthy - in haproxy with (2/1)"), "\(proxy)")
      #expect(proxy.output.contains("x - Healthy - in haproxy with (2/1)"), "\(proxy)")

      // One that does not answer hides nothing of the others.
      let closed = try freePort()
      let partly = try await host.status("--check", "-c", "101", "--haproxy", "y=127.0.0.1:\(closed)", "web.main")
      #expect(partly.status == 2 && partly.output.contains("in west-1a (CRITICAL: 100%)"), "\(partly)")
      #expect(partly.output.hasPrefix("UNKNOWN: no stats page of HAProxy at http://127.0.0.1:\(closed)/"), "\(partly)")

      let constraint = try await host.status("--constraints", "web.main")
      #expect(constraint.output == "[\"habitat\", \"GROUP_BY\", \"2\"]\n")
      let object = try await host.status("--constraints", "--json", "web.main")
      #expect(object.output == "{\"web.main\": [\"habitat\", \"GROUP_BY\", \"2\"]}\n")

      // One service that nobody knows costs its own report only.
      let ghost = try await host.status("web.main", "web.ghost")
      #expect(ghost.status == 3 && ghost.output.contains("west-1a - Healthy"), "\(ghost)")
      #expect(ghost.complaint.hasSuffix("smartstack.yaml: ghost: there is no such namespace\n"), "\(ghost)")
      // Known to be bad is worse than unknown.
      let both = try await host.status("--check", "web.ghost", "web.idle")
      #expect(both.status == 2 && both.output.hasPrefix("UNKNOWN: "), "\(both)")
      #expect(both.output.contains("\nService web.idle has no Smartstack replication info: "), "\(both)")
      let nowhere = try await host.status("--check", "--level", "habitat", "web.ghost")
      #expect(nowhere.status == 2 && nowhere.output.contains("has no Smartstack replication info"), "\(nowhere)")
      let usage = try await host.status("--check", "--json", "web.main")
      #expect(usage.status == 3 && usage.output.hasPrefix("UNKNOWN: Give one of"), "\(usage)")
      let word = try await host.run("synapse", ["smartstack-status"])
      #expect(word.status == 2 && word.complaint.contains("Name at least one service.namespace"), "\(word)")
      #expect(try await host.status("--jsn", "web.main").status == 2)
    }
  }

  @Test @LoopActor func serversThatDoNotAnswer() async throws {
    try await withHost { host, _ in
      try await host.world.put([], "/smartstack/global/web.main/orphan_", sequential: true)
      let cleaned = try await host.run("clean_nerve", [])
      #expect(cleaned.status == 0)
      #expect(cleaned.complaint.hasSuffix("INFO Removed 1 nodes\n"), "\(cleaned)")
      // Who is registered stays so.
      #expect(try await host.status("web.main").output.contains("west-1a - Healthy - in haproxy with (2/2)"))

      await host.world.proxy.stop()
      let text = try await host.status("web.main")
      #expect(text.status == 3 && text.output.isEmpty)
      let sentence = "no stats page of HAProxy at http://127.0.0.1:\(host.statsPort)/ (cannot connect to"
      #expect(text.complaint.hasPrefix("smartstack-status: \(sentence)"), "\(text)")
      let check = try await host.status("--check", "web.main")
      #expect(check.status == 3 && check.output.hasPrefix("UNKNOWN: \(sentence)"), "\(check)")
      #expect(try await host.status("--source", "registry", "web.main").status == 0)

      await host.world.zookeeper.kill()
      let silent = try await host.status("-t", "1", "--check", "--source", "registry", "web.main")
      #expect(silent.status == 3)
      let unknown = "UNKNOWN: the registry (\(host.world.zookeeper.connection)) has no answer for web.main"
      #expect(silent.output.hasPrefix(unknown), "\(silent)")
    }
  }
}
