import Glibc
import HAProxyRuntime
import Reactor
import SmartStack
import TestSupport
import Testing
import ZooKeeper

@testable import SynapseAgent

/// What others do to HAProxy and to its file, and how the agent tells what is loaded.
@Suite("changes by other programs", .timeLimit(.minutes(3))) @LoopActor struct ForeignChangeTests {
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
        while test -e \(folder)/pid && test -e /proc/$(cat \(folder)/pid); do sleep 0.05; done
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
      try await eventually("the restart is seen") { world.reloads == 1 }
      #expect(try await world.process().pid == before.pid)
      #expect(world.failedReloads == 0)
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
      let churn = Task { @LoopActor in
        while !Task.isCancelled {
          let path = try await world.register("churn", port: port)
          try await eventually("it is served") { await world.servingTasks().contains("churn") }
          try await world.registrar.delete(path)
          try await eventually("it is not served") { await !world.servingTasks().contains("churn") }
        }
      }
      defer { churn.cancel() }
      let other = try freePort()
      let more = ["  other:", "    discovery: {method: base}", "    haproxy: {port: \(other)}"]
      world.synapse?.reload(try world.load(world.configuration(haproxy: slow, more: more)))
      try await eventually("the new service listens") { await isListening(other) }
      #expect(!world.journal.contains("its options have changed"))
    }
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

  private func isListening(_ port: Int) async -> Bool {
    let stream = try? await ByteStream.connect(to: .tcp(host: "127.0.0.1", port: port), deadline: .seconds(2))
    stream?.close()
    return stream != nil
  }
}

extension World {
  /// The process that answers at the stats socket.
  func process() async throws -> ProxyInfo { try await HAProxyRuntimeClient(socket: proxy.socketPath).observe().info }

  /// Gives the service's backend one line, by the registry.
  func setLine(_ line: String) async throws {
    let section = #"{"haproxy": {"port": \#(port), "server_options": "maxconn 50", "backend": "\#(line)"}}"#
    try await registrar.set("/svc/web", to: Array(section.utf8))
  }
}
