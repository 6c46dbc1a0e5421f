import Reactor
import TestSupport
import Testing

@testable import NerveAgent

@Suite @LoopActor struct EtcdAgentTests {
  @Test func anAgentRegistersInEtcdReloadsAndTakesBack() async throws {
    let server = try EtcdServer()
    try await server.start()
    let directory = TemporaryDirectory()
    let port = server.port
    func configure(_ weight: Int) {
      writeFile(
        directory.path + "/nerve.conf.json",
        """
        {"instance_id": "host1", "hacheck": false, "state_dir": "\(directory.path)/state", "services": {
          "web": {"host": "10.0.0.5", "port": 3000, "reporter_type": "etcd", "etcd_host": "127.0.0.1",
            "etcd_port": \(port), "etcd_path": "/nerve/services", "weight": \(weight), "check_interval": 0.1,
            "checks": [{"type": "exec", "command": ["test", "!", "-e", "\(directory.path)/sick"]}]}}}
        """)
    }
    configure(1)
    let agent = Agent(options: AgentOptions(configuration: directory.path + "/nerve.conf.json"), logger: silent)
    try agent.start()
    try await eventually("registered") { try await server.keys() == ["/nerve/services/host1/web"] }
    writeFile(directory.path + "/sick", "")
    try await eventually("withdrawn") { try await server.keys() == [] }
    try Files.remove(directory.path + "/sick")
    try await eventually("registered again") { try await server.keys().count == 1 }
    configure(2)
    await agent.reload()
    try await eventually("a new weight is written in place") {
      try await server.etcdctl(["get", "/nerve/services/host1/web"]).contains(#""weight":2"#)
    }
    await agent.stop()
    #expect(try await server.keys() == [])
    #expect(try await server.leases() == [])
    await server.kill()
  }
}

extension EtcdServer {
  fileprivate func keys() async throws -> [String] {
    try await etcdctl(["get", "--prefix", "/nerve", "--keys-only"]).split(separator: "\n").map(String.init).sorted()
  }

  fileprivate func leases() async throws -> [String] {
    try await etcdctl(["lease", "list"]).split(separator: "\n").dropFirst().map(String.init)
  }
}
