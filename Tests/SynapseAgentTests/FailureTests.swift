import Glibc
import HAProxyRuntime
import Reactor
import SmartStack
import TestSupport
import Testing
import ZooKeeper

@testable import SynapseAgent

/// Each failure again and again, with a change of the registry in its midst; each time the wanted state comes about.
///
/// `SMARTSTACK_FAILURE_ROUNDS` says how often.
@Suite("HAProxy fails", .timeLimit(.minutes(10 * patience))) @LoopActor struct FailureTests {
  private let rounds = getenv("SMARTSTACK_FAILURE_ROUNDS").flatMap { Int(String(cString: $0)) }

  @Test func theWorkerIsKilled() async throws {
    try await withChanges(rounds ?? 20) { world, change in
      let worker = try await HAProxyRuntimeClient(socket: world.proxy.socketPath).observe().info.pid
      world.proxy.kill(pid: Int32(worker))
      try await change()
      // The master of 2.6 ends with its worker; whoever supervises it starts it again.
      await world.proxy.stop()
      try await world.proxy.start()
    }
  }

  @Test func theMasterIsKilled() async throws {
    try await withChanges(rounds ?? 20) { world, change in
      world.proxy.kill(pid: try #require(world.proxy.masterPID))
      try await change()
      await world.proxy.stop()
      try await world.proxy.start()
    }
  }

  @Test func theSocketIsCutInTheMiddle() async throws {
    var dice = SeededGenerator(seed: 20_261_121)
    let relay = Locked<CuttingRelay?>(nil)
    try await withChanges(
      rounds ?? 20,
      socket: { path in
        let made = CuttingRelay(to: path)
        relay.withLock { $0 = made }
        return made.path
      },
      { world, change in
        let relay = try #require(relay.withLock { $0 })
        let before = relay.cuts
        relay.cut(after: (0..<4).map { _ in Int.random(in: 1...600, using: &dice) })
        try await change()
        try await eventually("a connection was cut") { relay.cuts > before }
      })
    #expect((relay.withLock { $0 }?.cuts ?? 0) >= (rounds ?? 20))
  }

  @Test func theReloadFailsOrHangsOrDoesNothing() async throws {
    try await World.with { world in
      let script = world.proxy.path + "/reload"
      let ways = ["exit 1", "sleep 1000", "true"]
      func reloading(_ body: String) throws {
        try Files.write(Array((body + "\n").utf8), to: script, mode: 0o755, sync: false)
      }
      try reloading(world.proxy.reloadCommand)
      let text = world.configuration(haproxy: ["reload_timeout: 3"])
        .replacingOccurrence(of: world.proxy.reloadCommand, with: ". \(script)")
      try await world.startProxyAndAgent(text)
      try await world.register("one", port: world.startTask("one"))
      try await eventually("one answers") { await world.request() == "one" }
      for round in 0..<(rounds ?? 2) {
        world.synapse?.haproxy?.reloads.resetBudgets()
        for (index, way) in ways.enumerated() {
          let (good, failed) = (world.reloads, world.failedReloads)
          try reloading(way)
          let time = 100 + round * ways.count + index
          try await world.registrar.set(
            "/svc/web", to: Array(#"{"haproxy": {"port": \#(world.port), "backend": "timeout server \#(time)s"}}"#.utf8)
          )
          try await eventually("\(way): it has failed") { world.failedReloads > failed }
          #expect(await world.request() == "one")
          try reloading(world.proxy.reloadCommand)
          try await eventually("\(way): it works again") { world.reloads > good }
          #expect(world.file().contains("timeout server \(time)s"))
          try await eventually("one answers") { await world.request() == "one" }
        }
      }
      #expect(await world.servingTasks() == ["one"])
    }
  }

  @Test func commandsThatMeetANewProcessAreNoReasonForAReload() async throws {
    try await World.with { world in
      try await world.startProxyAndAgent(world.configuration())
      let port = try world.startTask("task")
      try await world.register("task0", port: port)
      try await eventually("it is in the file") { world.servingInFile() == ["task0"] }
      let reloads = world.reloads
      var longest = Duration.zero
      for round in 1...5 {
        let start = LoopClock.system.now
        await world.proxy.stop()
        try await world.proxy.start()
        longest = max(longest, LoopClock.system.now - start)
        // Most often the agent has not noticed yet.
        try await world.register("task\(round)", port: port)
        try await eventually("round \(round): it is served") { await world.servingTasks().contains("task\(round)") }
        try await eventually("round \(round): the file agrees") { world.servingInFile().contains("task\(round)") }
      }
      #expect(await world.servingTasks().count == 6)
      // A HAProxy that is away for 1.6 s is reloaded, which is right: then this machine has too much else to do.
      if longest < .seconds(1) {
        #expect(world.reloads == reloads && world.failedReloads == 0, "\(world.journal.text.suffix(3000))")
      }
    }
  }

  @Test func aSilentPartOfTheRegistryKeepsItsServers() async throws {
    try await World.with { world in
      var daemons: [HTTPListener] = []
      var ports: [Int] = []
      for name in ["one", "two"] {
        let task = try world.startTask(name)
        let containers = #"[{"Image": "web", "Ports": [{"PrivatePort": 80, "PublicPort": \#(task)}]}]"#
        let daemon = HTTPListener { $0.respond(status: 200, headers: [], body: Array(containers.utf8)) }
        guard case .tcp(_, let port) = try daemon.listen(on: .tcp(host: "127.0.0.1", port: 0)) else { return }
        ports.append(port)
        daemons.append(daemon)
      }
      let servers = ports.enumerated().map { "{host: 127.0.0.1, port: \($1), name: n\($0)}" }.joined(separator: ", ")
      let docker = "{method: docker, servers: [\(servers)], image_name: web, container_port: 80, check_interval: 1}"
      let text = world.configuration().replacingOccurrence(of: world.discovery, with: docker)
      try await world.startProxyAndAgent(text)
      try await eventually("both are served") { await world.servingTasks() == ["n0", "n1"] }
      try await eventually("the file has both") { world.servingInFile() == ["n0", "n1"] }
      daemons[1].close()
      try await world.startAgent(text)
      try await eventually("the agent goes on without the other") {
        world.synapse?.haproxy?.isCurrent == true && world.synapse?.status.services.first?.snapshot?.isPartial == true
      }
      #expect(await world.servingTasks() == ["n0", "n1"])
      // An answer without servers is an answer.
      let empty = HTTPListener { $0.respond(status: 200, headers: [], body: Array("[]".utf8)) }
      _ = try empty.listen(on: .tcp(host: "127.0.0.1", port: ports[1]))
      try await eventually("the other has none") { await world.servingTasks() == ["n0"] }
    }
  }

  /// Lets `failure` happen in every round, with a server that comes and one that goes in its midst.
  private func withChanges(
    _ rounds: Int, socket: (String) -> String = { $0 },
    _ failure: @LoopActor (World, @LoopActor () async throws -> Void) async throws -> Void
  ) async throws {
    try await World.with { world in
      let text = world.configuration()
      let line = "socket_file_path: \(world.proxy.socketPath)"
      try await world.startProxyAndAgent(
        text.replacingOccurrence(of: line, with: "socket_file_path: \(socket(world.proxy.socketPath))"))
      let port = try world.startTask("task")
      var last = try await world.register("task0", port: port)
      try await eventually("it is served") { await world.servingTasks() == ["task0"] }
      for round in 1...rounds {
        try await failure(world) {
          let next = try await world.register("task\(round)", port: port)
          try await world.registrar.delete(last)
          last = next
        }
        try await eventually("round \(round): the wanted state") { await world.servingTasks() == ["task\(round)"] }
        try await eventually("round \(round): a request is answered") { await world.request() == "task" }
        try await eventually("round \(round): the file agrees") {
          world.servingInFile() == ["task\(round)"]
        }
      }
    }
  }
}

extension World {
  /// How often a reload failed.
  var failedReloads: Int {
    Int(metrics.counter("synapse_haproxy_reloads_total", labels: ["result": "failed"], help: "").value)
  }

  /// The tasks whose servers HAProxy's file has in service.
  func servingInFile() -> Set<String> {
    let words = file().split(separator: "\n").map { $0.split(whereSeparator: { $0 == " " || $0 == "\t" }) }
    let servers = words.filter { $0.first == "server" && $0.last != "disabled" }
    return Set(servers.compactMap { $0.dropFirst().first?.split(separator: "_").first.map(String.init) })
  }
}

extension String {
  /// The text with its first occurrence of `old` replaced.
  func replacingOccurrence(of old: String, with new: String) -> String {
    var start = startIndex
    while start < endIndex {
      if self[start...].hasPrefix(old) {
        return self[..<start] + new + self[index(start, offsetBy: old.count)...]
      }
      formIndex(after: &start)
    }
    return self
  }
}
