import Glibc
import Reactor
import SmartStack
import TestSupport
import Testing
import ZooKeeper

@testable import OperatorTools

/// `clean_nerve` with real ensembles.
@Suite(.serialized, .timeLimit(.minutes(2 * patience))) struct CleanNerveTests {
  @LoopActor private func clean(_ words: [String], in directory: TemporaryDirectory) async throws -> (Int32, String) {
    var lines = ""
    var tool = try CleanNerve(words, environment: ["ZK_TOPOLOGY_DIR": directory.path]) { text, _ in lines += text }
    tool.connectLimit = .seconds(2)
    let status = await tool.run()
    return (status, lines)
  }

  @LoopActor private func withRegistry(
    _ body: (ZooKeeperClient, TemporaryDirectory) async throws -> Void
  ) async throws {
    let server = try ZooKeeperServer()
    try await server.start()
    let client = ZooKeeperClient(ensemble: try ServerList([server.connection]), logger: silent)
    client.start()
    #expect(await client.connects(within: .seconds(30)))
    let directory = TemporaryDirectory()
    try directory.write("[[127.0.0.1, \(server.port)]]\n", to: "infrastructure/west.yaml")
    symlink("west.yaml", directory.path + "/infrastructure/local.yaml")
    let outcome: Result<Void, any Error>
    do { outcome = .success(try await body(client, directory)) } catch { outcome = .failure(error) }
    await client.close()
    await server.kill()
    try outcome.get()
  }

  @Test @LoopActor func onlyOrphansAreRemoved() async throws {
    try await withRegistry { client, directory in
      let root = "/smartstack/global/web.main"
      let encoded =
        RegistrationCodec.pathEncodedName(payload: Array(#"{"host":"10.0.0.1","port":80}"#.utf8)) + "0000000001"
      try await client.create("\(root)/orphan_0000000000")
      try await client.create("/smartstack/global/geo.main/orphan_0000000007")
      try await client.create("\(root)/written_0000000001", data: Array("{}".utf8))
      try await client.create("\(root)/alive_", mode: .ephemeralSequential)
      try await client.create("\(root)/parent/child")
      try await client.create("\(root)/\(encoded)")
      try await client.create("/other/orphan")
      let before = try await client.children(root)?.sorted()

      let simulated = try await clean(["--sim"], in: directory)
      #expect(
        simulated == (
          0,
          """
          INFO Running in simulation mode
          INFO Processing west
          INFO Would remove /smartstack/global/geo.main/orphan_0000000007
          INFO Would remove /smartstack/global/web.main/orphan_0000000000
          INFO Would have removed 2 nodes

          """
        ))
      #expect(try await client.children(root)?.sorted() == before)

      let real = try await clean([], in: directory)
      #expect(
        real == (
          0,
          """
          INFO Processing west
          INFO Removing /smartstack/global/geo.main/orphan_0000000007
          INFO Removing /smartstack/global/web.main/orphan_0000000000
          INFO Removed 2 nodes

          """
        ))
      #expect(try await client.children(root)?.sorted() == before?.filter { $0 != "orphan_0000000000" })
      #expect(try await client.exists("/other/orphan"))
      let again = try await clean([], in: directory)
      #expect(again == (0, "INFO Processing west\nINFO Removed 0 nodes\n"))
    }
  }

  @Test @LoopActor func aNodeThatWasWrittenToMeanwhileStays() async throws {
    try await withRegistry { client, _ in
      try await client.create("/a/n")
      let seen = try #require(try await client.inspect("/a/n")).stat
      try await client.set("/a/n", to: Array("{}".utf8))
      #expect(try await client.delete("/a/n", ifStill: seen) == false)
      let now = try #require(try await client.inspect("/a/n")).stat
      try await client.create("/a/n/below")
      #expect(try await client.delete("/a/n", ifStill: now) == false)
      try await client.delete("/a/n/below")
      #expect(try await client.delete("/a/n", ifStill: now))
      #expect(try await client.delete("/a/n", ifStill: now) == false)
      #expect(try await client.inspect("/a/n") == nil)
    }
  }

  @Test @LoopActor func whatCannotBeDoneIsNamedAndTheRestIsDone() async throws {
    try await withRegistry { client, directory in
      let port = try freePort()
      try directory.write("[[127.0.0.1, port]]\n", to: "infrastructure/bad.yaml")
      try directory.write("[[127.0.0.1, \(port)]]\n", to: "infrastructure/gone.yaml")
      try await client.create("/smartstack/global/web.main/orphan_0000000000")
      let (status, lines) = try await clean([], in: directory)
      #expect(status == 1)
      #expect(lines.contains("ERROR bad: \(directory.path)/infrastructure/bad.yaml:1:14: "), "\(lines)")
      let reason = "cannot connect to 127.0.0.1:\(port): Connection refused"
      #expect(lines.contains("WARNING Could not connect to zookeeper cluster for gone: \(reason)\n"), "\(lines)")
      #expect(lines.hasSuffix("INFO Removed 1 nodes\n"), "\(lines)")
    }
  }

  @Test @LoopActor func whatOnlyOthersMayChangeIsNamed() async throws {
    try await withRegistry { client, directory in
      let owner = ZooKeeperClient(
        ensemble: client.ensemble, logger: silent,
        credentials: ZooKeeperCredentials(secret: "nerve:secret", protectsNodes: true))
      owner.start()
      #expect(await owner.connects(within: .seconds(30)))
      try await client.create("/smartstack/global")
      try await owner.create("/smartstack/global/web.main")
      try await owner.create("/smartstack/global/web.main/orphan")
      try await client.create("/smartstack/global/zoo.main/orphan")
      let (status, lines) = try await clean([], in: directory)
      await owner.close()
      #expect(status == 1)
      #expect(
        lines == """
          INFO Processing west
          ERROR ZooKeeper refused delete /smartstack/global/web.main/orphan: not permitted by the node's access control list
          INFO Removing /smartstack/global/zoo.main/orphan
          INFO Removed 1 nodes

          """)
    }
  }

  /// An ensemble that speaks TLS only and wants certificates; `zk_tls` is read where nerve reads it.
  @Test @LoopActor func anEnsembleByTLSIsCleanedToo() async throws {
    let authority = try await TestAuthority()
    let certificate = try await authority.certificate("DNS:agent")
    let server = try ZooKeeperServer(tls: (try await authority.certificate(), clients: authority.file))
    try await server.start()
    let ensemble = try ServerList(["localhost:\(server.port)"])
    var options = TLSOptions(serverName: nil, verify: true, authorityFile: authority.file)
    options.certificateFile = certificate
    let client = ZooKeeperClient(ensemble: ensemble, tls: options, logger: silent)
    client.start()
    #expect(await client.connects(within: .seconds(30)))
    try await client.create("/smartstack/global/web.main/orphan_0000000000")
    let directory = TemporaryDirectory()
    try directory.write("[[localhost, \(server.port)]]\n", to: "infrastructure/west.yaml")
    func write(_ certificate: String, to name: String) throws -> String {
      try directory.write(
        #"{"instance_id": "x", "zk_tls": {"ca": "\#(authority.file)"\#(certificate)}}"#, to: name)
      return "\(directory.path)/\(name)"
    }
    let stranger = try await clean(["--zk-tls", write("", to: "stranger.json")], in: directory)
    let words = "cluster for west: connection to localhost:\(server.port) failed: TLS failure: "
    #expect(stranger.0 == 1 && stranger.1.contains(words), "\(stranger)")
    let file = try write(#", "certificate": "\#(certificate)""#, to: "nerve.conf.json")
    #expect(
      try await clean(["--zk-tls", file], in: directory) == (
        0,
        """
        INFO Processing west
        INFO Removing /smartstack/global/web.main/orphan_0000000000
        INFO Removed 1 nodes

        """
      ))
    try directory.write("{}", to: "empty.json")
    let none = try await clean(["--zk-tls", "\(directory.path)/empty.json"], in: directory)
    #expect(none == (1, "ERROR \(directory.path)/empty.json: there is no zk_tls\n"))
    await client.close()
    await server.kill()
  }

  @Test @LoopActor func withoutTopologyFilesItFails() async throws {
    let directory = TemporaryDirectory()
    let missing = try await clean(["-t", "other"], in: directory)
    #expect(missing == (1, "ERROR cannot list \(directory.path)/other: No such file or directory\n"))
    try directory.write("", to: "other/README")
    let (status, line) = try await clean(["-tother"], in: directory)
    #expect(status == 1)
    #expect(line.hasPrefix("ERROR \(directory.path)/other: there is no topology file"), "\(line)")
  }

  @Test @LoopActor func readsItsCommandLine() throws {
    #expect(throws: CommandUsage.wrong("unrecognized arguments: x")) {
      try CleanNerve(["x"], environment: [:], output: { _, _ in })
    }
    let both = try CleanNerve(["-s", "--cluster-type=kafka"], environment: [:], output: { _, _ in })
    #expect(both.simulates && both.directory == "/nail/etc/zookeeper_discovery/kafka")
  }
}
