import Glibc
import Reactor
import TestSupport
import Testing

@testable import NerveAgent

/// The whole agent with files as its registry.
@Suite @LoopActor struct FileAgentTests {
  let directory = TemporaryDirectory()

  private func configure(_ services: String...) {
    let body = services.map { name in
      """
      "\(name)": {"host": "10.0.0.5", "port": 3000, "reporter_type": "file", "file_path": "\(directory.path)/r/",
       "check_interval": 0.05, "checks": [{"type": "exec", "command": "test -e \(directory.path)/$NERVE_SERVICE"}]}
      """
    }
    writeFile(
      directory.path + "/nerve.conf.json",
      """
      {"instance_id": "host1", "hacheck": false, "state_dir": "\(directory.path)/state",
       "services": {\(body.joined(separator: ",\n"))}}
      """)
  }

  private func agent() throws -> Agent {
    let agent = Agent(options: AgentOptions(configuration: directory.path + "/nerve.conf.json"), logger: silent)
    try agent.start()
    return agent
  }

  private var files: [String] { (try? Files.list(directory.path + "/r")) ?? [] }

  @Test func filesFollowHealthReloadsCrashesAndStops() async throws {
    configure("web", "geo")
    writeFile(directory.path + "/web", "")
    var agent = try agent()
    try await eventually("the healthy one is registered") { files == ["web@host1.json"] }
    let text = String(decoding: try Files.read(directory.path + "/r/web@host1.json", limit: 4096), as: UTF8.self)
    #expect(text == #"{"host":"10.0.0.5","port":3000,"name":"host1"}"#)
    writeFile(directory.path + "/geo", "")
    try await eventually("the other too") { files == ["geo@host1.json", "web@host1.json"] }
    try Files.remove(directory.path + "/web")
    try await eventually("the sick one goes") { files == ["geo@host1.json"] }
    // What a crash leaves is adopted if it is wanted, and removed if the service is gone from the configuration.
    await agent.abandon()
    #expect(files == ["geo@host1.json"])
    writeFile(directory.path + "/web", "")
    writeFile(directory.path + "/r/gone@host1.json", "{}")
    agent = try self.agent()
    try await eventually("what is wanted is there") { files == ["geo@host1.json", "web@host1.json"] }
    configure("web")
    await agent.reload()
    try await eventually("a removed service goes") { files == ["web@host1.json"] }
    await agent.stop()
    #expect(files == [])
  }

  /// Clients will connect to the registered address; the checks may go elsewhere.
  @Test func aServiceThatIsUpButRefusesItsAddressIsNamed() async throws {
    let port = try freePort()
    writeFile(
      directory.path + "/nerve.conf.json",
      """
      {"instance_id": "host1", "hacheck": false, "state_dir": "\(directory.path)/state", "services": {"web": {
       "host": "0.0.0.0", "port": \(port), "reporter_type": "file", "file_path": "\(directory.path)/r/",
       "checks": [{"type": "noop"}]}}}
      """)
    let nerve = AgentProgram(
      "nerve", ["-c", directory.path + "/nerve.conf.json"], logPath: directory.path + "/nerve.log")
    try nerve.start()
    try await eventually("the warning is there") { nerve.count(of: "service not reachable at its address") == 1 }
    #expect(nerve.log.contains("0.0.0.0:\(port): does it listen on loopback only?"))
    try await eventually("registered all the same") { files == ["web@host1.json"] }
    await nerve.kill()
  }
}
