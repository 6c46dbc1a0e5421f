import Glibc
import HAProxyConfigGen
import HAProxyRuntime
import Reactor
import SmartStack
import TestSupport
import Testing
import ZooKeeper

@testable import SynapseAgent

/// What others do to HAProxy and to its file, and how the agent tells what is loaded.
@Suite("changes by other programs", .timeLimit(.minutes(3 * patience))) @LoopActor struct ForeignChangeTests {
  @Test func aProcessThatBeganBeforeTheFileWasReplacedHasNotLoadedIt() async throws {
    try await World.with { world in
      try await world.startProxyAndAgent(world.configuration(haproxy: ["restart_interval: 4"]))
      try await world.register("one", port: world.startTask("one"))
      try await eventually("the file has it") { world.servingInFile() == ["one"] }
      let before = try await world.process()
      _ = kill(try #require(world.proxy.masterPID), SIGUSR2)
      try await eventually("another worker answers") {
        (try? await world.process()).map { !$0.isSameProcess(as: before) } ?? false
      }
      // The file is replaced at once, the reload has to wait, and meanwhile the other worker is noticed.
      try await world.setLine("http-request deny")
      try await eventually("the file has the line") { world.file().contains("http-request deny") }
      try await eventually("the line is active") { await world.request() == nil }
      #expect(world.journal.contains("HAProxy process changed"))
    }
  }

  @Test func aRestartedProcessWithTheSamePIDIsAnother() async throws {
    try await World.with { world in
      let (folder, proxy) = (world.proxy.path, world.proxy)
      let script = """
        test -e \(folder)/pid && kill -9 $(cat \(folder)/pid)
        while test -e \(folder)/pid && readlink /proc/$(cat \(folder)/pid)/exe; do sleep 0.05; done
        cd /
        unshare --pid --fork --kill-child sh -c 'exec haproxy -db -f \(proxy.configurationPath)' >/dev/null 2>&1 &
        echo $! > \(folder)/pid
        """
      try Files.write(Array(script.utf8), to: folder + "/restart", mode: 0o755, sync: false)
      try proxy.write(sections: [])
      _ = try await ChildProcess.run("/bin/sh", arguments: [folder + "/restart"], deadline: .seconds(20))
      defer {
        _ = (try? Files.read(folder + "/pid", limit: 100)).flatMap {
          Int32(String(decoding: $0.dropLast(), as: UTF8.self))
        }.map { kill($0, SIGKILL) }
      }
      try await eventually("HAProxy answers") { (try? await world.process()) != nil }
      let before = try await world.process()
      try await eventually("the second is over") { Int(LoopClock.system.unixTime) > (before.startedAt ?? 0) }
      let text = world.configuration().replacingOccurrence(of: proxy.reloadCommand, with: "sh \(folder)/restart")
      try await world.startAgent(text)
      // On a slow machine the agent gives the restart up before it finds the other process.
      try await eventually("the restart is seen") {
        world.reloads == 1 || world.journal.contains("HAProxy process changed")
      }
      #expect(try await world.process().pid == before.pid)
    }
  }

  @Test func aReloadUnderWayIsNotLostToAnotherConfiguration() async throws {
    try await World.with { world in
      let begun = world.proxy.path + "/begun"
      let command = world.proxy.reloadCommand
      @LoopActor func text(_ more: [String] = []) -> String {
        world.configuration(haproxy: more)
          .replacingOccurrence(of: command, with: "touch \(begun); sleep 0.5; \(command)")
      }
      try await world.startProxyAndAgent(text())
      try await world.register("one", port: world.startTask("one"))
      try await eventually("the file has it") { world.servingInFile() == ["one"] }
      let reloads = world.reloads
      try Files.remove(begun)
      try await world.setLine("timeout server 33s")
      try await eventually("a reload has begun") { Files.exists(begun) }
      world.synapse?.reload(try world.load(text(["audit_interval: 7"])))
      try await eventually("all is in sync") {
        world.synapse?.haproxy?.configuration.auditInterval == .seconds(7) && world.synapse?.haproxy?.isCurrent == true
      }
      #expect(world.file().contains("timeout server 33s"))
      #expect(world.reloads == reloads + 1 && world.failedReloads == 0)
    }
  }

  @Test func aNewServiceIsServedWhileServersChurn() async throws {
    try await World.with { world in
      // As with many thousands of servers: checking the file takes longer than the time between two changes.
      let check = "sleep 0.5; haproxy -c -f \(world.proxy.path)/candidate"
      let slow = [
        "do_checks: true", "check_command: '\(check)'", "candidate_config_file_path: \(world.proxy.path)/candidate",
      ]
      try await world.startProxyAndAgent(world.configuration(haproxy: slow))
      let port = try world.startTask("task")
      try await world.register("task", port: port)
      try await eventually("it is served") { await world.servingTasks() == ["task"] }
      let churn = world.churn(port: port)
      defer { churn.cancel() }
      let other = try freePort()
      let more = ["  other:", "    discovery: {method: base}", "    haproxy: {port: \(other)}"]
      world.synapse?.reload(try world.load(world.configuration(haproxy: slow, more: more)))
      try await eventually("the new service listens") { await isListening(other) }
      #expect(!world.journal.contains("its options have changed"))
    }
  }

  @Test func theFileFollowsTheSocketsWhileServersChurn() async throws {
    try await World.with { world in
      try await world.startProxyAndAgent(world.configuration())
      let port = try world.startTask("task")
      // Without any server the last ones would stay.
      try await world.register("steady", port: port)
      let churn = world.churn(port: port)
      defer { churn.cancel() }
      for name in ["one", "two", "three"] {
        let path = try await world.register(name, port: port)
        try await eventually("the file has it") { world.servingInFile().contains(name) }
        try await world.registrar.delete(path)
        try await eventually("the file has it no more") { !world.servingInFile().contains(name) }
      }
      #expect(!churn.isCancelled)
    }
  }

  @Test func changesDoNotPutTheFileOff() async throws {
    let directory = TemporaryDirectory()
    let text =
      "haproxy: {config_file_path: \(directory.path)/cfg, do_checks: false, do_reloads: false, do_socket: false, "
      + "global: [], defaults: []}\nservices: {}\n"
    try Files.write(Array(text.utf8), to: directory.path + "/synapse.yaml", mode: 0o644, sync: false)
    let loaded = try ConfigurationLoader(environment: [:]).load(directory.path + "/synapse.yaml")
    let configuration = try #require(loaded.haproxy)
    let (clock, logger) = (LoopClock.manual(), Journal().logger)
    let wanted = WantedModel(
      settings: configuration.generator, services: [ServiceSettings(service: "web")], memory: ServerMemory(),
      clock: clock, logger: logger)
    let file = FileSync(
      configuration, checker: FileChecker(.none), wanted: wanted, clock: clock, logger: logger,
      metrics: HAProxyMetrics(Metrics(), statsd: nil))
    file.recordRound()
    // Less than a second behind, however often something changes meanwhile.
    for step in 1...10 {
      wanted.apply([ServiceSnapshot(service: "web", backends: [Backend(host: "10.0.0.\(step)", port: 80)])])
      #expect(file.isBehind && file.pauseLeft.map { $0 <= .seconds(1) - .milliseconds(100) * (step - 1) } ?? true)
      clock.advance(by: .milliseconds(100))
    }
    #expect(file.pauseLeft == nil)
    guard case .replaced = await file.sync(willReplace: {}) else {
      Issue.record("the file is not replaced")
      return
    }
    #expect(!file.isBehind && file.text?.contains("10.0.0.10:80") == true)
  }

  @Test func serversThatComeNeedNoCheckOfTheFile() async throws {
    try await World.with { world in
      try await world.startProxyAndAgent(world.configuration())
      try await world.register("one", port: world.startTask("one"))
      try await eventually("the file has one") { world.servingInFile() == ["one"] }
      let checks = world.metrics.counter("synapse_haproxy_checks_total", labels: ["result": "good"], help: "")
      let before = checks.value
      let two = try await world.register("two", port: world.startTask("two"))
      try await eventually("the file has two") { world.servingInFile() == ["one", "two"] }
      try await world.registrar.delete(two)
      try await eventually("it has left the file") { world.servingInFile() == ["one"] }
      #expect(checks.value == before)
      try await world.setLine("timeout server 77s")
      try await eventually("the file has the line") { world.file().contains("timeout server 77s") }
      #expect(checks.value > before)
    }
  }

  @Test func whatAnAgentPutsToRestStaysAtRest() async throws {
    try await World.with { world in
      // Says "drain" once and nothing that would end it later.
      let hasSpoken = Locked(false)
      let agent = LoopbackServer { connection in
        let words = hasSpoken.withLock { spoken in
          defer { spoken = true }
          return spoken ? "up\n" : "drain\n"
        }
        connection.send(Array(words.utf8))
      }
      let text = world.configuration(haproxy: ["audit_interval: 0.1"])
        .replacingOccurrence(
          of: "server_options: 'maxconn 50'",
          with: "server_options: 'agent-check agent-addr 127.0.0.1 agent-port \(agent.port) agent-inter 300ms'")
      try await world.startProxyAndAgent(text)
      let one = try await world.register("one", port: world.startTask("one"))
      func state(of task: String) async -> AdminState? {
        let running = try? await HAProxyRuntimeClient(socket: world.proxy.socketPath).observe().running
        return running?.backends["web"]?.first { $0.key.hasPrefix("\(task)_") }?.value.adminState
      }
      try await eventually("the agent drains it") { await state(of: "one")?.contains(.forcedDrain) == true }
      let socket = try #require(world.synapse?.haproxy?.socketSync.sockets.first)
      // A change of the service, and then an audit that looks at all.
      try await world.register("two", port: world.startTask("two"))
      try await eventually("two is served") { await state(of: "two") == [] }
      let epoch = socket.epoch
      try await eventually("an audit has agreed") { (socket.lastAgreement?.epoch ?? 0) >= epoch }
      #expect(await state(of: "one")?.contains(.forcedDrain) == true)
      // What the agent of this project has put to rest it ends as well.
      try await world.registrar.delete(one)
      try await eventually("one has left") { await state(of: "one")?.contains(.forcedMaintenance) != false }
      try await world.register("one", port: try #require(one.isEmpty ? nil : world.taskPort("one")))
      try await eventually("one is back") { await state(of: "one") == [] }
    }
  }

  private func isListening(_ port: Int) async -> Bool {
    let stream = try? await ByteStream.connect(to: .tcp(host: "127.0.0.1", port: port), deadline: .seconds(2))
    stream?.close()
    return stream != nil
  }
}

extension World {
  /// Has a server come and go without a pause, until it is cancelled.
  func churn(port: Int) -> Task<Void, any Error> {
    Task { @LoopActor in
      while !Task.isCancelled {
        let path = try await register("churn", port: port)
        try await eventually("it is served") { await self.servingTasks().contains("churn") }
        try await registrar.delete(path)
        try await eventually("it is not served") { await !self.servingTasks().contains("churn") }
      }
    }
  }

  /// The process that answers at the stats socket.
  func process() async throws -> ProxyInfo { try await HAProxyRuntimeClient(socket: proxy.socketPath).observe().info }

  /// Gives the service's backend one line, by the registry.
  func setLine(_ line: String) async throws {
    let section = #"{"haproxy": {"port": \#(port), "server_options": "maxconn 50", "backend": "\#(line)"}}"#
    try await registrar.set("/svc/web", to: Array(section.utf8))
  }
}
