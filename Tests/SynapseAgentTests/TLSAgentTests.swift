import Glibc
import Reactor
import SmartStack
import TestSupport
import Testing

/// Both agents, a command, and a client of others' making, on an ensemble that speaks TLS only and wants certificates.
@Suite("agents on an ensemble by TLS", .timeLimit(.minutes(3))) @LoopActor struct TLSAgentTests {
  @Test func whatNerveRegistersSynapseAndKazooFind() async throws {
    let files = try HostFiles()
    let authority = try await TestAuthority()
    let certificate = try await authority.certificate("DNS:agent")
    let zookeeper = try ZooKeeperServer(tls: (try await authority.certificate(), clients: authority.file))
    try await zookeeper.start()
    let place = "localhost:\(zookeeper.port)"
    let tls = #""zk_tls": {"ca": "\#(authority.file)", "certificate": "\#(certificate)"}"#
    try files.put("state/.keep", "")
    try files.put("out/.keep", "")
    try files.put(
      "nerve.conf.json",
      #"""
      {"instance_id": "here", "state_dir": "\#(files.path)/state", "hacheck": false, \#(tls), "services": {"web": {
        "host": "10.0.0.5", "port": 3000, "zk_hosts": ["\#(place)"], "zk_path": "/smartstack/global/web.main",
        "check_interval": 0.1, "labels": {"region:west": ""},
        "checks": [{"type": "noop"}]}}}
      """#)
    try files.put(
      "synapse.conf.json",
      #"""
      {"file_output": {"output_directory": "\#(files.path)/out"}, "state_dir": "\#(files.path)/state", \#(tls),
       "services": {"web": {"discovery": {"method": "zookeeper", "hosts": ["\#(place)"], "path": "/smartstack/global/web.main"},
        "use_previous_backends": false}}}
      """#)
    let agents = ["nerve", "synapse"].map {
      AgentProgram($0, ["-c", "\(files.path)/\($0).conf.json"], logPath: "\(files.path)/\($0).log")
    }
    for agent in agents { try agent.start() }
    try await eventually("the file has the server: \(agents.map(\.log))", within: .seconds(60)) {
      files.read("out/web.json").contains(#""host":"10.0.0.5""#)
    }
    let seen = try await ChildProcess.run(
      "/usr/bin/python3",
      arguments: [
        "-c",
        """
        import sys
        from kazoo.client import KazooClient
        client = KazooClient(sys.argv[1], use_ssl=True, ca=sys.argv[2], certfile=sys.argv[3], keyfile=sys.argv[3])
        client.start(60)
        print(client.get_children("/smartstack/global/web.main"))
        client.stop()
        """, place, authority.file, certificate,
      ], deadline: .seconds(90))
    #expect(String(decoding: seen.output, as: UTF8.self).hasPrefix("['here_0000000000']"))
    let status = try await ChildProcess.run(
      BuiltProgram.path("synapse"),
      arguments: [
        "smartstack-status", "--source", "registry", "--level", "region", "--zookeeper", place, "--zk-tls",
        "\(files.path)/nerve.conf.json", "web.main",
      ], deadline: .seconds(90))
    #expect(String(decoding: status.output, as: UTF8.self).contains("west - Healthy"), "\(status)")
    agents[0].signal(SIGTERM)
    try await eventually("the server leaves with nerve: \(agents.map(\.log))") {
      !files.read("out/web.json").contains("10.0.0.5")
    }
    for agent in agents { await agent.kill() }
    await zookeeper.kill()
  }
}
