import Glibc
import HAProxyRuntime
import Reactor
import SmartStack
import TestSupport
import Testing
import ZooKeeper

@testable import SynapseAgent

/// What reloads leave behind: real HAProxies whose connections do not end.
@Suite("old workers of HAProxy", .timeLimit(.minutes(3 * patience))) @LoopActor struct OldWorkerTests {
  @Test("the oldest workers beyond the count are stopped", arguments: [false, true]) func count(byMaster: Bool)
    async throws
  {
    try await World.with { world in
      try await start(world, byMaster, ["max_old_workers: 2", "max_old_worker_age: 0"])
      var held: [(worker: Int32, stream: ByteStream)] = []
      for round in 0..<4 {
        held.append(try await hold(world))
        try await reload(world, round)
      }
      let pids = held.map(\.worker)
      try await eventually("two are left: \(pids)\n\(world.journal.text)") {
        pids.map { ProcessRecord.read($0) != nil } == [false, false, true, true]
      }
      #expect(try await held[0].stream.readToEnd(limit: 1 << 16).isEmpty)
      #expect(counted(world, "count") == 2 && counted(world, "age") == 0)
      #expect(world.journal.contains("old worker stopped pid=\(pids[0]) reason=there are too many"))
      // The youngest still answer, and so does the one that serves.
      for (_, stream) in held[2...] { #expect(try await finish(stream).contains("task")) }
      try await eventually("those whose connections end leave by themselves") {
        pids.allSatisfy { ProcessRecord.read($0) == nil }
      }
      #expect(counted(world, "count") == 2)
      #expect(await world.request() == "task")
    }
  }

  @Test("workers beyond the age are stopped, and killed when they hang") func age() async throws {
    try await World.with { world in
      try await start(world, false, ["max_old_worker_age: 2"])
      let (first, stream) = try await hold(world)
      try await reload(world, 0)
      let (second, other) = try await hold(world)
      try await reload(world, 1)
      kill(second, SIGSTOP)
      try await eventually("both have ended\n\(world.journal.text)") {
        ProcessRecord.read(first) == nil && ProcessRecord.read(second) == nil
      }
      #expect(try await stream.readToEnd(limit: 1 << 16).isEmpty)
      other.close()
      #expect(counted(world, "age") == 2)
      #expect(world.journal.contains("signal=SIGKILL"))
      #expect(await world.request() == "task")
    }
  }

  // MARK: Steps

  private func start(_ world: World, _ byMaster: Bool, _ limits: [String]) async throws {
    // HAProxy's own bound would do the work.
    var text = world.configuration(haproxy: limits).replacingOccurrence(of: "    - hard-stop-after 5s\n", with: "")
      .replacingOccurrence(of: "timeout client 10s", with: "timeout client 100s")
    if byMaster {
      text = text.replacingOccurrence(
        of: "reload_command: '\(world.proxy.reloadCommand)'", with: "master_socket: \(world.proxy.masterSocketPath)")
    }
    try await world.startProxyAndAgent(text)
    try await world.register("task", port: world.startTask("task"))
    try await eventually("the task answers") { await world.request() == "task" }
  }

  /// A request whose last line is not sent yet: its worker cannot leave.
  private func hold(_ world: World) async throws -> (worker: Int32, stream: ByteStream) {
    let worker = try await HAProxyRuntimeClient(socket: world.proxy.socketPath).observe().info.pid
    let stream = try await ByteStream.connect(to: .tcp(host: "127.0.0.1", port: world.port), deadline: .seconds(60))
    try stream.write("GET / HTTP/1.0\r\nHost: x\r\n")
    return (Int32(worker), stream)
  }

  private func finish(_ stream: ByteStream) async throws -> String {
    try stream.write("\r\n")
    return String(decoding: try await stream.readToEnd(limit: 1 << 16), as: UTF8.self)
  }

  private func reload(_ world: World, _ round: Int) async throws {
    let before = world.reloads
    try await world.registrar.set(
      "/svc/web",
      to: Array(#"{"haproxy": {"port": \#(world.port), "backend": "timeout server \#(100 + round)s"}}"#.utf8))
    try await eventually("HAProxy is reloaded") { world.reloads > before }
  }

  private func counted(_ world: World, _ limit: String) -> Int {
    Int(world.metrics.counter("synapse_haproxy_old_workers_ended_total", labels: ["limit": limit], help: "").value)
  }
}
