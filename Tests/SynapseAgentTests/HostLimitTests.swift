import Glibc
import HAProxyConfigGen
import HAProxyRuntime
import Reactor
import SmartStack
import TestSupport
import Testing
import ZooKeeper

@testable import SynapseAgent

/// What HAProxy cannot do on this host, although its file is good.
@Suite("limits of the host", .timeLimit(.minutes(3 * patience))) @LoopActor struct HostLimitTests {
  @Test func aPortOfAnotherProgramCostsItsServiceAlone() async throws {
    try await World.with { world in
      try await world.startProxyAndAgent(world.configuration())
      try await world.register("one", port: world.startTask("one"))
      try await eventually("one answers") { await world.request() == "one" }
      let holder = HTTPListener { $0.respond(status: 418, headers: [], body: []) }
      guard case .tcp(_, let taken) = try holder.listen(on: .tcp(host: "127.0.0.1", port: 0)) else { return }
      let free = try freePort()
      let clients = SteadyClients(port: world.port, keeping: 0, renewing: 3)
      let more = [
        "  late:", "    discovery: {method: base}", "    haproxy: {port: \(free)}",
        "  other:", "    discovery: {method: base}", "    haproxy: {port: \(taken)}",
      ]
      let reloads = world.reloads
      world.synapse?.reload(try world.load(world.configuration(more: more)))
      try await eventually("the service beside it listens") { await isListening(free) }
      // HAProxy listens a moment before synapse knows it.
      try await eventually("the reload has ended") { world.reloads == reloads + 1 }
      #expect(world.journal.contains("Address already in use) for [127.0.0.1:\(taken)]"))
      #expect(world.journal.contains("service=services.other"))
      #expect(!world.file().contains("frontend other"))
      holder.close()
      try await eventually("it is served when the port is free") { await status(at: taken) == 503 }
      try await eventually("one more reload has ended") { world.reloads == reloads + 2 }
      #expect(world.failedReloads == 0)
      await clients.stop()
      #expect(clients.problems.isEmpty && clients.answers > 0, "\(clients.problems.prefix(3))")
    }
  }

  @Test func aTakenPortDoesNotKeepHAProxyFromStarting() async throws {
    try await World.with { world in
      let other = try freePort()
      let more = ["  other:", "    discovery: {method: base}", "    haproxy: {port: \(other)}"]
      let master = ["master_socket: \(world.proxy.masterSocketPath)"]
      try await world.startProxyAndAgent(world.configuration(haproxy: master, more: more))
      try await world.register("one", port: world.startTask("one"))
      try await eventually("one answers") { await world.request() == "one" }
      await world.proxy.stop()
      let holder = HTTPListener { $0.respond(status: 418, headers: [], body: []) }
      _ = try holder.listen(on: .tcp(host: "127.0.0.1", port: world.port))
      try await eventually("the service is skipped") {
        !world.file().contains("frontend web") && world.file().contains("frontend other")
      }
      try await world.proxy.start()
      try await eventually("the other is served") { await status(at: other) == 503 }
      holder.close()
      try await eventually("one answers again") { await world.request() == "one" }
    }
  }

  /// Its own addresses would look taken; that this host lacks one can be told all the same.
  @Test func anAddressThatTheHostLacksIsFoundWhateverHAProxyHasLoaded() async throws {
    try await World.with { world in
      try await world.startProxyAndAgent(world.configuration())
      try await world.register("one", port: world.startTask("one"))
      try await eventually("one answers") { await world.request() == "one" }
      try await eventually("the file has it") { world.servingInFile() == ["one"] }
      await world.synapse?.stop()
      let marker = "reload-pending-\(StableHash(world.proxy.configurationPath).hexadecimal)"
      try Files.write([], to: "\(world.proxy.path)/\(marker)", mode: 0o600, sync: false)
      let free = try freePort()
      let more = [
        "  late:", "    discovery: {method: base}", "    haproxy: {port: \(free)}",
        "  other:", "    discovery: {method: base}", "    haproxy: {port: \(free), bind_address: 192.0.2.1}",
      ]
      try await world.startAgent(world.configuration(more: more))
      try await eventually("the service beside it listens") { await isListening(free) }
      #expect(world.journal.contains("it is not known which configuration HAProxy has loaded"))
      #expect(world.journal.contains("Cannot assign requested address) for [192.0.2.1:\(free)]"))
      #expect(!world.file().contains("frontend other") && world.file().contains("frontend web"))
      #expect(world.failedReloads == 0)
      #expect(await world.request() == "one")
    }
  }

  /// In the first folder nobody may make a file, not even root; the second is another file system.
  @Test(arguments: ["/sys/kernel", "/dev/shm"].filter(Files.isDirectory))
  func aCandidateMayBeWrittenElsewhere(_ folder: String) async throws {
    try await World.with { world in
      let path = "\(folder)/candidate-\(Files.name(of: world.proxy.path))"
      try await world.startProxyAndAgent(world.configuration(haproxy: ["candidate_config_file_path: \(path)"]))
      try await world.register("one", port: world.startTask("one"))
      try await eventually("the file has it") { world.servingInFile() == ["one"] }
      #expect(!world.journal.contains("HAProxy file write failed"))
    }
  }

  @Test(arguments: [false, true]) func aShortageOfDescriptorsIsNamed(isByMaster: Bool) async throws {
    try await World.with { world in
      let master = isByMaster ? ["master_socket: \(world.proxy.masterSocketPath)"] : []
      try await world.startProxyAndAgent(world.configuration(haproxy: master))
      try await limitDescriptors(of: world)
      let text = world.configuration(haproxy: master)
        .replacingOccurrence(of: "- maxconn 200", with: "- maxconn 20000")
      try await world.startAgent(text)
      try await eventually("the reload fails for that reason") {
        world.synapse?.haproxy?.reloads.history.last?.failure?.contains("limit is 2000") == true
      }
      // It is said before HAProxy has said anything.
      let lines = world.journal.text.split(separator: "\n")
      let warning = lines.firstIndex { $0.contains("descriptor limit too low") }
      let failure = lines.firstIndex { $0.contains("HAProxy reload failed") }
      #expect(try #require(warning) < (try #require(failure)))
      #expect(world.journal.contains("Cannot raise FD limit to about 400"))
      // As a sentence of `synapse status`, too.
      let synapse = try #require(world.synapse)
      let shortage = await synapse.haproxy?.descriptorShortage()
      let problems = await synapse.status.json(seen: nil, shortage: shortage, now: 0)["haproxy"]?["problems"]?.strings
      #expect(problems?.last?.contains("limit is 2000: raise LimitNOFILE of HAProxy's unit, or lower maxconn") == true)
      // From 2.7 on the master tells why.
      if isByMaster, let version = try HAProxyVersion(await world.process().version), version >= HAProxyVersion(2, 7) {
        #expect(world.synapse?.haproxy?.reloads.history.last?.failure?.contains("Cannot raise FD limit to 400") == true)
      }
      // What runs goes on.
      #expect(await status(at: world.port) == 503)
    }
  }

  @Test func withoutALimitOfItsOwnHAProxyTakesWhatItMayHave() async throws {
    try await World.with { world in
      try await world.startProxyAndAgent(world.configuration())
      try await limitDescriptors(of: world)
      try await world.startAgent(world.configuration().replacingOccurrence(of: "- maxconn 200", with: "- daemon"))
      try await eventually("the file is loaded") { world.reloads == 2 }
      let connections = try #require(try await world.process().maxConnections)
      #expect((500..<1000).contains(connections))
      #expect(!world.journal.contains("descriptor limit too low"))
    }
  }

  // MARK: Sockets

  @Test func aRemovedSocketIsReplacedByTheMasters() async throws {
    try await World.with { world in
      try await world.startProxyAndAgent(
        world.configuration(haproxy: ["master_socket: \(world.proxy.masterSocketPath)"]))
      try await world.register("one", port: world.startTask("one"))
      try await eventually("one answers") { await world.request() == "one" }
      try await eventually("the file has one") { world.servingInFile() == ["one"] }
      let reloads = world.reloads
      try Files.remove(world.proxy.socketPath)
      let two = try world.startTask("two")
      try await world.register("two", port: two)
      try await eventually("two is served") { await world.request() == "two" }
      #expect(world.reloads == reloads && world.failedReloads == 0)
      #expect(world.journal.contains("stats socket missing"))
      try await world.setLine("timeout server 33s")
      try await eventually("a reload works") { world.reloads == reloads + 1 }
      #expect(world.failedReloads == 0)
    }
  }

  @Test func twoSocketsOfOneProcessAreOne() async throws {
    try await World.with { world in
      try await world.startProxyAndAgent(configurationOfTwoSockets(world))
      let reloads = world.reloads
      for name in ["one", "two", "three"] {
        try await world.register(name, port: world.startTask(name))
        try await eventually("\(name) is served") { await world.servingTasks().contains(name) }
      }
      try await eventually("the file has all") { world.servingInFile() == ["one", "two", "three"] }
      #expect(world.metrics.counter("synapse_haproxy_refusals_total", help: "").value == 0)
      #expect(world.reloads == reloads && world.failedReloads == 0)
      try await eventually("all is in sync") { world.synapse?.haproxy?.isCurrent == true }
    }
  }

  /// Or its own addresses would be taken for another program's.
  @Test func whereHAProxyListensIsKnownWhileItsSocketsAreAsked() async throws {
    try await World.with { world in
      try await world.startProxyAndAgent(configurationOfTwoSockets(world))
      let sockets = try #require(world.synapse?.haproxy?.socketSync)
      try await eventually("it is known") { sockets.heldAddresses?.contains { $0.ports.contains(world.port) } == true }
      let held = sockets.heldAddresses
      for _ in 0..<20 {
        sockets.requestSync()
        var isSynced = false
        Task { @LoopActor in
          await sockets.waitUntilSynced()
          isSynced = true
        }
        while !isSynced {
          try #require(sockets.heldAddresses == held)
          await Task.yield()
        }
      }
    }
  }

  private func configurationOfTwoSockets(_ world: World) -> String {
    let second = world.proxy.path + "/second.sock"
    return world.configuration()
      .replacingOccurrence(
        of: "  global:\n", with: "  global:\n    - stats socket \(second) mode 600 level admin\n"
      )
      .replacingOccurrence(
        of: "socket_file_path: \(world.proxy.socketPath)",
        with: "socket_file_path: ['\(world.proxy.socketPath)', '\(second)']")
  }

  @Test func aFileOfSomebodyElseIsLoadedOncePerReason() async throws {
    try await World.with { world in
      try world.proxy.write(sections: [])
      try await world.proxy.start()
      try await world.startAgent(world.configuration(haproxy: ["do_writes: false"]))
      try await eventually("it is loaded") { world.journal.contains("HAProxy reload without effect") }
      let output = try #require(world.synapse?.haproxy)
      try await world.register("one", port: world.startTask("one"))
      try await eventually("the server is known, and nothing is due") {
        output.wanted.model.memory.servers(of: "web", ttl: 1000, now: Int(LoopClock.system.unixTime)).count == 1
          && !output.reloads.isReloadDue
      }
      #expect(world.reloads == 1)
    }
  }

  /// Gives HAProxy's master, and so its next worker, 2,000 descriptors.
  private func limitDescriptors(of world: World) async throws {
    let socket = MasterSocket(path: world.proxy.masterSocketPath)
    try await eventually("the master has done its reload") {
      (try? await socket.processes(within: .seconds(2)))?.current.count == 1
    }
    let limit = ["--pid", String(try #require(world.proxy.masterPID)), "--nofile=2000:2000"]
    _ = try await ChildProcess.run("/usr/bin/prlimit", arguments: limit, deadline: .seconds(10))
  }

  private func isListening(_ port: Int) async -> Bool {
    let stream = try? await ByteStream.connect(to: .tcp(host: "127.0.0.1", port: port), deadline: .seconds(2))
    stream?.close()
    return stream != nil
  }

  private func status(at port: Int) async -> Int? {
    let request = HTTPRequest(endpoint: .tcp(host: "127.0.0.1", port: port), target: "/")
    return try? await HTTPClient.send(request, deadline: .seconds(5)).status
  }
}
