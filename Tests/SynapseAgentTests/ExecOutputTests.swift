import Reactor
import Registry
import SmartStack
import TestSupport
import Testing

@testable import SynapseAgent

@Suite("exec output", .timeLimit(.minutes(2 * patience))) struct ExecOutputTests {
  private func services(_ names: String...) -> [ServiceConfiguration] {
    names.map { ServiceConfiguration(name: $0, discovery: Discovery(BaseDiscovery())) }
  }

  private func snapshot(_ service: String, _ ports: Int...) -> ServiceSnapshot {
    ServiceSnapshot(service: service, backends: ports.map { Backend(host: "10.0.0.1", port: $0) })
  }

  /// What one run was told, shortened to ports by service.
  private func told(_ text: String) -> [[String: [Int]]] {
    text.split(separator: "\n").map { line in
      let members = JSONValue(Array(line.utf8))?.object?.members ?? []
      return Dictionary(
        uniqueKeysWithValues: members.map { ($0.key, $0.value.array?.compactMap { $0["port"]?.int } ?? [-1]) })
    }
  }

  @Test @LoopActor func eachChangeIsToldOnce() async throws {
    let directory = TemporaryDirectory()
    var configuration = ExecOutputConfiguration(command: ["/bin/sh", "-c", "cat >> \(directory.path)/told"])
    configuration.interval = .zero
    let output = ExecOutput(
      configuration, services: ["a", "b"], clock: .system, logger: Journal().logger)
    output.start()
    func lines() -> [[String: [Int]]] { told(directory.text(of: "told") ?? "") }
    output.apply([snapshot("a", 1), snapshot("b", 2, 3), snapshot("hidden", 9)])
    try await eventually("all are told") { lines() == [["a": [1], "b": [2, 3]]] }
    output.apply([snapshot("a", 1), snapshot("b", 2)])
    try await eventually("the changed one is told") { lines().last == ["b": [2]] }
    output.replaceServices(["b"])
    output.apply([snapshot("b", 2)])
    try await eventually("the one that is gone is told") { lines().last == ["a": [-1]] }
    output.replaceServices(["a", "b"])
    output.apply([snapshot("a", 4)])
    await output.stop()
    #expect(lines() == [["a": [1], "b": [2, 3]], ["b": [2]], ["a": [-1]], ["a": [4]]])
  }

  @Test @LoopActor func changesInBetweenAreOneRun() async throws {
    let directory = TemporaryDirectory()
    var configuration = ExecOutputConfiguration(
      command: [
        "/bin/sh", "-c", "cat >> \(directory.path)/told; while [ ! -e \(directory.path)/go ]; do sleep 0.01; done",
      ])
    configuration.interval = .zero
    let output = ExecOutput(
      configuration, services: ["a", "b"], clock: .system, logger: Journal().logger)
    output.start()
    func lines() -> [[String: [Int]]] { told(directory.text(of: "told") ?? "") }
    output.apply([snapshot("a", 1)])
    try await eventually("the first run is under way") { lines() == [["a": [1]]] }
    // Back and forth while it runs: what it is being told counts as known.
    for port in 2...20 { output.apply([snapshot("a", port), snapshot("b", port)]) }
    output.apply([snapshot("a", 1)])
    try directory.write("", to: "go")
    try await eventually("the rest is told at once") { lines().count == 2 }
    await output.stop()
    #expect(lines() == [["a": [1]], ["b": [20]]])
  }

  @Test @LoopActor func aFailingOrHangingCommandIsRunAgain() async throws {
    let directory = TemporaryDirectory()
    let journal = Journal()
    let script = """
      if [ ! -e \(directory.path)/once ]; then touch \(directory.path)/once; echo 'no luck' >&2; exit 3; fi
      if [ ! -e \(directory.path)/twice ]; then touch \(directory.path)/twice; sleep 600; fi
      cat >> \(directory.path)/told
      """
    var configuration = ExecOutputConfiguration(command: ["/bin/sh", "-c", script])
    configuration.interval = .zero
    configuration.deadline = .seconds(2)
    let output = ExecOutput(
      configuration, services: ["a"], clock: .system, logger: journal.logger)
    output.start()
    output.apply([snapshot("a", 1)])
    try await eventually("it is told in the end") { self.told(directory.text(of: "told") ?? "") == [["a": [1]]] }
    try await eventually("and the log says so") { journal.contains("command succeeded again") }
    #expect(journal.contains("reason=exit status 3: no luck"))
    #expect(Files.exists("\(directory.path)/twice"))
    await output.stop()
  }

  @Test @LoopActor func aCommandThatReadsNothingIsNoHarm() async throws {
    let journal = Journal()
    let output = ExecOutput(
      ExecOutputConfiguration(command: ["/bin/true"]), services: ["a"], clock: .system,
      logger: journal.logger)
    output.start()
    let many = (0..<20_000).map { Backend(name: "server\($0)", host: "10.0.0.1", port: $0 % 60_000 + 1) }
    output.apply([ServiceSnapshot(service: "a", backends: many)])
    try await eventually("it has run") { journal.contains("command notified") }
    await output.stop()
  }

  @Test @LoopActor func aHangingCommandDoesNotHoldUpTheEnd() async throws {
    let directory = TemporaryDirectory()
    var configuration = ExecOutputConfiguration(
      command: ["/bin/sh", "-c", "touch \(directory.path)/runs; sleep 600"])
    configuration.deadline = .seconds(500)
    let output = ExecOutput(configuration, services: ["a"], clock: .system, logger: Journal().logger)
    output.start()
    output.apply([snapshot("a", 1)])
    try await eventually("it runs") { Files.exists("\(directory.path)/runs") }
    var hasStopped = false
    let stopping = Task { @LoopActor in
      await output.stop()
      hasStopped = true
    }
    try await eventually("it is stopped") { hasStopped }
    await stopping.value
  }
}
