import HAProxyConfigGen
import HAProxyRuntime
import Reactor
import SmartStack
import TestSupport
import Testing
import ZooKeeper

@testable import SynapseAgent

private let isPossible = HAProxyServer.isInstalled && Files.exists("/usr/share/java/zookeeper.jar")

@Suite("from znode to traffic", .enabled(if: isPossible), .timeLimit(.minutes(3 * patience)))
struct EndToEndTests {
  @Test @LoopActor func serversComeAndGoWithoutAReload() async throws {
    try await World.with { world in
      try await world.startProxyAndAgent(world.configuration())
      let before = world.reloads
      let first = try await world.register("one", port: world.startTask("one"))
      try await eventually("one answers") { await world.request() == "one" }
      try await world.register("two", port: world.startTask("two"))
      try await eventually("two is served too") { await world.servingTasks() == ["one", "two"] }
      try await world.registrar.delete(first)
      try await eventually("one is drained") { await world.servingTasks() == ["two"] }
      for _ in 0..<10 { #expect(await world.request() == "two") }
      #expect(world.reloads == before)
      try await eventually("the file follows") {
        let file = world.file()
        return file.contains("server two_") && !file.contains("server one_") || file.contains(" disabled")
      }
    }
  }

  @Test @LoopActor func aWeightIsACommand() async throws {
    try await World.with { world in
      try await world.startProxyAndAgent(world.configuration(haproxy: ["use_nerve_weights: true"]))
      let port = try world.startTask("one")
      let path = try await world.register("one", port: port, weight: 10)
      try await eventually("weight 10") { await world.serving().values.first?.weight == 10 }
      let before = world.reloads
      let changed = Backend(name: "one", host: "127.0.0.1", port: port, weight: 30)
      try await world.registrar.set(path, to: RegistrationCodec.payload(changed))
      try await eventually("weight 30") { await world.serving().values.first?.weight == 30 }
      #expect(world.reloads == before)
      try await eventually("the file says so") { world.file().contains("weight 30") }
    }
  }

  @Test @LoopActor func aRestartedAgentAdoptsWhatRuns() async throws {
    try await World.with { world in
      let configuration = world.configuration()
      try await world.startProxyAndAgent(configuration)
      try await world.register("one", port: world.startTask("one"))
      try await eventually("one answers") { await world.request() == "one" }
      try await eventually("the file has it") { world.file().contains("server one_") }
      let before = world.reloads
      let file = world.file()
      try await world.startAgent(configuration)
      try await eventually("the new agent has looked") { world.journal.text.contains("synapse stopped") }
      try await world.register("two", port: world.startTask("two"))
      try await eventually("two is served") { await world.servingTasks() == ["one", "two"] }
      #expect(world.reloads == before)
      #expect(file.contains("server one_"))
    }
  }

  @Test @LoopActor func withoutAStateFileServersKeepTheirIds() async throws {
    try await World.with { world in
      let configuration = world.configuration().replacingLine(
        containing: "state_file_path", with: "  max_server_id: 99")
      try await world.startProxyAndAgent(configuration)
      for name in ["c", "b", "a"] {
        try await world.register(name, port: world.startTask(name))
        try await eventually("\(name) is served") { await world.servingTasks().contains(name) }
      }
      try await eventually("the file has all") { world.file().contains("server a_") }
      let before = await world.serving().mapValues(\.id)
      let reloads = world.reloads
      try await world.startAgent(configuration)
      try await world.register("d", port: world.startTask("d"))
      try await eventually("d is served") { await world.servingTasks() == ["a", "b", "c", "d"] }
      let after = await world.serving().mapValues(\.id)
      #expect(before.allSatisfy { after[$0.key] == $0.value })
      #expect(world.reloads == reloads)
    }
  }

  @Test @LoopActor func aRestartedProxyIsReconciled() async throws {
    try await World.with { world in
      try await world.startProxyAndAgent(world.configuration())
      try await world.register("one", port: world.startTask("one"))
      let leaving = try await world.register("two", port: world.startTask("two"))
      try await eventually("both are served") { await world.servingTasks() == ["one", "two"] }
      try await eventually("the file has both") { world.file().contains("server two_") }
      await world.proxy.stop()
      try await world.registrar.delete(leaving)
      try await eventually("the agent has seen it") { world.journal.contains("HAProxy query failed") }
      try await world.proxy.start()
      try await eventually("it serves what is wanted") { await world.servingTasks() == ["one"] }
      try await eventually("one answers") { await world.request() == "one" }
    }
  }

  @Test @LoopActor func aRestartedHAProxyIsBroughtInSync() async throws {
    try await World.with { world in
      try await world.startProxyAndAgent(world.configuration())
      try await world.register("one", port: world.startTask("one"))
      try await eventually("one is served") { await world.servingTasks() == ["one"] }
      let worker = try await HAProxyRuntimeClient(socket: world.proxy.socketPath).observe().info.pid
      world.proxy.kill(pid: Int32(worker))
      await world.proxy.stop()
      // The file of the restart does not have it: only the agent can bring it.
      let file = world.file()
      try await world.register("two", port: world.startTask("two"))
      try await eventually("the file has two") { world.file().contains("server two_") }
      try Files.write(Array(file.utf8), to: world.proxy.configurationPath, mode: 0o644, sync: false)
      try await world.proxy.start()
      try await eventually("both are served") { await world.servingTasks() == ["one", "two"] }
    }
  }

  @Test @LoopActor func withoutTheRegistryEverythingStays() async throws {
    try await World.with { world in
      try await world.startProxyAndAgent(world.configuration())
      try await world.register("one", port: world.startTask("one"))
      try await eventually("one answers") { await world.request() == "one" }
      try await eventually("the file has it") { world.file().contains("server one_") }
      let file = world.file()
      world.zookeeper.pause()
      try await eventually("the agent has lost the registry") { world.journal.contains("connection lost") }
      #expect(await world.servingTasks() == ["one"])
      #expect(world.file() == file)
      world.zookeeper.resume()
      try await world.zookeeper.restart()
      #expect(await world.servingTasks() == ["one"])
      try await world.register("two", port: world.startTask("two"))
      try await eventually("what is new is seen again") { await world.servingTasks() == ["one", "two"] }
    }
  }

  @Test @LoopActor func aStartWithoutTheRegistryEmptiesNothing() async throws {
    try await World.with { world in
      let configuration = world.configuration()
      try await world.startProxyAndAgent(configuration)
      try await world.register("one", port: world.startTask("one"))
      try await eventually("one answers") { await world.request() == "one" }
      try await eventually("the file has it") { world.file().contains("server one_") }
      let before = world.reloads
      await world.zookeeper.kill()
      try await world.startAgent(configuration)
      try await eventually("the agent makes do") { world.journal.contains("services without data") }
      try await eventually("the remembered server is in the file") { world.file().contains("server one_") }
      #expect(await world.request() == "one")
      #expect(world.reloads == before)
      try await world.zookeeper.start()
      try await world.register("two", port: world.startTask("two"))
      try await eventually("the registry counts again") { await world.servingTasks() == ["one", "two"] }
    }
  }

  @Test @LoopActor func aServerThatHadLeftDoesNotReturnWithoutTheRegistry() async throws {
    try await World.with { world in
      let configuration = world.configuration()
      try await world.startProxyAndAgent(configuration)
      let left = try await world.register("left", port: world.startTask("left"))
      try await world.register("one", port: world.startTask("one"))
      try await eventually("both are served") { await world.servingTasks() == ["left", "one"] }
      try await world.registrar.delete(left)
      try await eventually("one has left") { await world.servingTasks() == ["one"] }
      await world.zookeeper.kill()
      try await world.startAgent(configuration)
      try await eventually("the agent makes do") { world.journal.contains("services without data") }
      try await eventually("the outputs have been changed") { world.synapse?.haproxy?.isCurrent == true }
      #expect(await world.servingTasks() == ["one"])
      for _ in 0..<10 { #expect(await world.request() == "one") }
      // Where nothing runs, the state file says who was there.
      let state = world.proxy.path + "/state.json"
      let memory = try #require(ServerMemory(stateFile: try Files.read(state, limit: 1 << 20)))
      let now = Int(LoopClock.system.unixTime)
      #expect(memory.servers(of: "web", ttl: 1800, now: now).map(\.name) == ["one"])
      try await world.zookeeper.start()
    }
  }

  @Test @LoopActor func hostileRegistrationsReachNeitherFileNorSocket() async throws {
    try await World.with { world in
      try await world.startProxyAndAgent(world.configuration())
      let port = try world.startTask("good")
      let hostile = [
        #"{"host":"10.0.0.1\nserver evil 10.6.6.6:1","port":1,"name":"h1"}"#,
        #"{"host":"10.0.0.1 evil","port":1,"name":"h2"}"#, #"{"host":"10.0.0.1\"evil","port":1,"name":"h3"}"#,
        #"{"host":"10.0.0.1","port":1,"name":"evil;shutdown sessions server web/good"}"#,
        #"{"host":"10.0.0.1","name":"evil5"}"#, #"{"host":"10.0.0.1","port":"evil","name":"h6"}"#, "{evil", "[1]",
        #"{"host":"10.0.0.1","port":1,"name":"h7","haproxy_server_options":"check\nevil"}"#,
        #"{"host":"10.0.0.1","port":1,"name":"h8","haproxy_server_options":"evilword"}"#,
        #"{"host":"10.0.0.1","port":1,"name":"h9","labels":"evil"}"#,
      ]
      for (index, text) in hostile.enumerated() { try await world.put(Array(text.utf8), "/svc/web/bad\(index)_0") }
      try await world.register("good", port: port)
      try await eventually("the good one answers") { await world.request() == "good" }
      try await eventually("the file has it") { world.file().contains("server good_") }
      #expect(await world.servingTasks() == ["good"])
      #expect(!world.file().contains("evil"))
      #expect(!world.file().contains("10.0.0.1"))
      for index in hostile.indices where index != 9 { #expect(world.journal.contains("bad\(index)_0"), "bad\(index)") }
      #expect(world.journal.contains("evilword"))
    }
  }

  @Test @LoopActor func aRefusedLineIsLeftOutAndNamed() async throws {
    try await World.with { world in
      try await world.startProxyAndAgent(
        world.configuration(serviceHAProxy: ["backend: ['option httplog', 'timeout nonsense 4s', 'balance leastconn']"])
      )
      try await world.register("one", port: world.startTask("one"))
      try await eventually("one answers") { await world.request() == "one" }
      #expect(!world.file().contains("nonsense"))
      #expect(world.file().contains("balance leastconn"))
      #expect(world.journal.contains("services.web.haproxy.backend[1]"))
    }
  }

  @Test @LoopActor func aRefusedRuleCostsItsServiceUntilItsFileIsThere() async throws {
    try await World.with { world in
      let list = world.proxy.path + "/denied"
      let rule = "http-request deny if { src -f \(list) }"
      let other = try freePort()
      let more = [
        "  other:", "    discovery: {method: base}", "    haproxy:", "      port: \(other)",
        "      backend: ['\(rule)']",
      ]
      try await world.startProxyAndAgent(world.configuration(more: more))
      try await eventually("it is named") { world.journal.contains("service=services.other") }
      #expect(!world.file().contains("other"))
      try Files.write(Array("10.0.0.0/8\n".utf8), to: list, mode: 0o644, sync: false)
      try await eventually("it is served, with the rule") {
        let stream = try? await ByteStream.connect(to: .tcp(host: "127.0.0.1", port: other), deadline: .seconds(2))
        stream?.close()
        return stream != nil && world.file().contains(rule)
      }
      #expect(world.synapse?.haproxy?.wanted.model.problems.isEmpty == true)
    }
  }

  @Test @LoopActor func aReloadOfTheConfigurationKeepsHAProxysRelease() async throws {
    try await World.with { world in
      // Nobody checks the file: only the release that runs tells that it has lost the line.
      let text = world.configuration(haproxy: ["do_checks: false"], serviceHAProxy: ["backend: ['reqadd X-A:\\ b']"])
      try await world.startProxyAndAgent(text)
      #expect(!world.file().contains("reqadd"))
      let more = ["  more:", "    discovery: {method: base}", "    haproxy: {port: \(try freePort())}", ""]
      world.synapse?.reload(try world.load(text + more.joined(separator: "\n")))
      try await eventually("the file has the new service") { world.file().contains("backend more") }
      #expect(!world.file().contains("reqadd"))
    }
  }

  @Test @LoopActor func serversOfTheOperatorsOwnAndInitialAddressesNeedNoReload() async throws {
    try await World.with { world in
      let lines = "['server own 127.0.0.1:9 id 1 backup', 'default-server init-addr last,libc,none']"
      try await world.startProxyAndAgent(world.configuration(serviceHAProxy: ["backend: \(lines)"]))
      for name in ["one", "two"] {
        try await world.register(name, port: world.startTask(name))
        try await eventually("it is served") { await world.servingTasks().contains(name) }
      }
      try await eventually("all is in sync") { world.synapse?.haproxy?.isCurrent == true }
      #expect(world.reloads == 1)
    }
  }

  @Test @LoopActor func aReloadOfTheConfigurationIsByDifference() async throws {
    try await World.with { world in
      try await world.startProxyAndAgent(world.configuration())
      try await world.register("one", port: world.startTask("one"))
      try await eventually("one answers") { await world.request() == "one" }
      let otherPort = try freePort()
      try await world.register("other", port: world.startTask("other"), at: "/svc/other")
      let more = [
        "  other:",
        "    discovery: {method: zookeeper, hosts: ['\(world.zookeeper.connection)'], path: /svc/other}",
        "    haproxy: {port: \(otherPort)}",
      ]
      world.synapse?.reload(try world.load(world.configuration(more: more)))
      try await eventually("the other service answers") {
        let request = HTTPRequest(endpoint: .tcp(host: "127.0.0.1", port: otherPort), target: "/")
        return (try? await HTTPClient.send(request, deadline: .seconds(2)))?.status == 200
      }
      #expect(await world.request() == "one")
      world.synapse?.reload(try world.load(world.configuration()))
      try await eventually("it is gone again") { !world.file().contains("backend other") }
      try await eventually("one answers still") { await world.request() == "one" }
    }
  }

  @Test @LoopActor func theRegistryMayHoldTheGeneratorSection() async throws {
    try await World.with { world in
      try await world.startProxyAndAgent(world.configuration())
      try await world.register("one", port: world.startTask("one"))
      try await eventually("one answers") { await world.request() == "one" }
      let other = try freePort()
      try await world.registrar.set(
        "/svc/web",
        to: Array(#"{"haproxy": {"port": \#(other), "server_options": "", "backend": "balance first"}}"#.utf8))
      try await eventually("it listens elsewhere") {
        let request = HTTPRequest(endpoint: .tcp(host: "127.0.0.1", port: other), target: "/")
        return (try? await HTTPClient.send(request, deadline: .seconds(2)))?.status == 200
      }
      #expect(world.file().contains("balance first"))
      for lifted in [[], Array("{}".utf8)] {
        try await world.registrar.set("/svc/web", to: lifted)
        try await eventually("the configured section is back") {
          let answer = await world.request()
          return answer == "one" && !world.file().contains("balance first")
        }
        try await world.registrar.set(
          "/svc/web", to: Array(#"{"haproxy": {"port": \#(other), "backend": "balance first"}}"#.utf8))
        try await eventually("the section is applied again") { world.file().contains("balance first") }
      }
    }
  }

  @Test("without trust a section of the registry only adds what harms nobody", .timeLimit(.minutes(1 * patience)))
  @LoopActor
  func limitedSection() async throws {
    try await World.with { world in
      let text = world.configuration().replacingOccurrence(of: "generator_config_trust: full", with: "disabled: false")
      try await world.startProxyAndAgent(text)
      try await world.register("one", port: world.startTask("one"))
      try await eventually("one answers") { await world.request() == "one" }
      let section =
        #"{"haproxy": {"port": 1, "frontend": ["bind :1"], "backend": ["timeout server 77s", "errorfile 503 /x"]}}"#
      try await world.registrar.set("/svc/web", to: Array(section.utf8))
      try await eventually("the time-out is taken over") { world.file().contains("timeout server 77s") }
      #expect(!world.file().contains("bind :1") && !world.file().contains("errorfile"))
      #expect(await world.request() == "one")
      let problems = world.synapse?.haproxy?.wanted.model.problems.map(\.description) ?? []
      #expect(problems.filter { $0.contains("section of the registry") }.count == 3, "\(problems)")
      try await world.registrar.set("/svc/web", to: [])
      try await eventually("it is lifted") { !world.file().contains("timeout server 77s") }
      #expect(world.synapse?.haproxy?.wanted.model.problems.isEmpty == true)
    }
  }

  @Test @LoopActor func aFailingReloadIsTriedAgainAndWhatRunsStays() async throws {
    try await World.with { world in
      try await world.startProxyAndAgent(world.configuration())
      try await world.register("one", port: world.startTask("one"))
      try await eventually("one answers") { await world.request() == "one" }
      let flag = world.proxy.path + "/works"
      let command = "test -e \(flag) && \(world.proxy.reloadCommand)"
      let other = try freePort()
      let text = world.configuration(serviceHAProxy: ["bind_options: ''"])
        .replacingLine(containing: "reload_command", with: "  reload_command: '\(command)'")
        .replacingLine(containing: "      port:", with: "      port: \(other)")
      try await world.startAgent(text)
      try await eventually("the reload has failed twice") {
        world.metrics.counter("synapse_haproxy_reloads_total", labels: ["result": "failed"], help: "").value >= 2
      }
      #expect(await world.request() == "one")
      try Files.write([], to: flag, mode: 0o644, sync: false)
      try await eventually("the reload works") { world.reloads == 2 }
      try await eventually("it listens elsewhere") {
        let request = HTTPRequest(endpoint: .tcp(host: "127.0.0.1", port: other), target: "/")
        return (try? await HTTPClient.send(request, deadline: .seconds(2)))?.status == 200
      }
    }
  }

  @Test @LoopActor func aReloadThatACrashInterruptedIsMadeUpFor() async throws {
    try await World.with { world in
      let configuration = world.configuration()
      try await world.startProxyAndAgent(configuration)
      try await world.register("one", port: world.startTask("one"))
      try await eventually("one answers") { await world.request() == "one" }
      await world.synapse?.stop()
      let marker = "\(world.proxy.path)/reload-pending-\(StableHash(world.proxy.configurationPath).hexadecimal)"
      try await eventually("no reload is pending") { !Files.exists(marker) }
      try Files.write([], to: marker, mode: 0o600, sync: false)
      try await world.startAgent(configuration)
      try await eventually("HAProxy is reloaded") { world.reloads == 2 }
      try await eventually("the note is gone") { !Files.exists(marker) }
      #expect(await world.request() == "one")
    }
  }
}

extension String {
  fileprivate func replacingLine(containing words: String, with line: String) -> String {
    split(separator: "\n", omittingEmptySubsequences: false)
      .map { $0.contains(words) ? line : String($0) }.joined(separator: "\n")
  }
}
