import Glibc
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import NerveAgent

/// One agent's reporters at one etcd.
@LoopActor final class EtcdWorld {
  let registry: EtcdRegistry
  let environment = RunnerEnvironment(clock: .system, logger: silent, metrics: Metrics())
  private var reporters: [RecordReporter] = []

  init(ports: [Int], api: EtcdSettings.API = .auto, lifetime: Int = 60) {
    registry = EtcdRegistry(
      EtcdSettings(endpoints: ports.map { .tcp(host: "127.0.0.1", port: $0) }, api: api, lifetime: lifetime),
      clock: .system, logger: silent)
  }

  func reporter(_ service: String, data: String = "{}") -> RecordReporter {
    let registry = registry
    let reporter = RecordReporter(
      service: service, data: Array(data.utf8), record: registry.record("/nerve/host1/\(service)"), renewal: nil,
      reachable: { registry.isReachable }, environment: environment)
    reporters.append(reporter)
    return reporter
  }

  func end() async { await registry.close() }
}

@LoopActor private func withEtcd(
  v2: Bool = false, _ body: @LoopActor (EtcdServer) async throws -> Void
) async throws {
  let server = try EtcdServer(withV2: v2)
  try await server.start()
  try await body(server)
  await server.kill()
}

extension EtcdServer {
  /// Keys below `/nerve`, sorted.
  fileprivate func keys() async throws -> [String] {
    try await etcdctl(["get", "--prefix", "/nerve", "--keys-only"]).split(separator: "\n").map(String.init).sorted()
  }

  fileprivate func leases() async throws -> [String] {
    try await etcdctl(["lease", "list"]).split(separator: "\n").dropFirst().map(String.init)
  }
}

@Suite(.serialized) @LoopActor struct EtcdTests {
  @Test func keysFollowTheVerdictAndHangOnOneLease() async throws {
    try await withEtcd { server in
      let world = EtcdWorld(ports: [server.port])
      let (web, geo) = (world.reporter("web", data: #"{"host":"10.0.0.5","é":1}"#), world.reporter("geo"))
      web.report(.up)
      geo.report(.up)
      try await eventually("both are registered") { web.state.isSettled && geo.state.isSettled }
      #expect(web.state == .settled(.up, place: "/nerve/host1/web"))
      #expect(web.isReachable)
      #expect(try await server.keys() == ["/nerve/host1/geo", "/nerve/host1/web"])
      let value = try await server.etcdctl(["get", "/nerve/host1/web", "--print-value-only"])
      #expect(value == #"{"host":"10.0.0.5","é":1}"# + "\n")
      let leases = try await server.leases()
      #expect(leases.count == 1)
      let attached = try await server.etcdctl(["lease", "timetolive", leases.first ?? "", "--keys"])
      #expect(attached.contains("/nerve/host1/web") && attached.contains("/nerve/host1/geo"))
      web.report(.down)
      try await eventually("one is gone") { web.state == .settled(.down, place: nil) }
      #expect(try await server.keys() == ["/nerve/host1/geo"])
      await world.end()
      #expect(try await server.keys() == [])
      #expect(try await server.leases() == [])
    }
  }

  @Test func aLostLeaseIsReplacedAndEverythingIsThereOnce() async throws {
    try await withEtcd { server in
      let world = EtcdWorld(ports: [server.port], lifetime: 3)
      let reporters = (0..<20).map { world.reporter("s\($0)") }
      for reporter in reporters { reporter.report(.up) }
      try await eventually("all are registered") { reporters.allSatisfy { $0.state.isSettled } }
      let lost = try #require(try await server.leases().first)
      _ = try await server.etcdctl(["lease", "revoke", lost])
      #expect(try await server.keys() == [])
      try await eventually("all are back") { try await server.keys().count == 20 }
      let leases = try await server.leases()
      #expect(leases.count == 1)
      #expect(leases.first != lost)
      try await eventually("and known to be") { reporters.allSatisfy { $0.state.isSettled } }
      #expect(world.environment.meters.registrations.value == 40)
      await world.end()
    }
  }

  @Test func killedRestartedAndEmptied() async throws {
    try await withEtcd { server in
      let world = EtcdWorld(ports: [server.port], lifetime: 3)
      let (web, geo) = (world.reporter("web"), world.reporter("geo"))
      web.report(.up)
      try await eventually("registered") { web.state.isSettled }
      await server.kill()
      geo.report(.up)
      try await eventually("refused for now") { if case .failed(.up, _) = geo.state { true } else { false } }
      #expect(!geo.isReachable)
      try await server.start()
      try await eventually("the second is there, the first still or again") {
        try await server.keys() == ["/nerve/host1/geo", "/nerve/host1/web"] && geo.state.isSettled
      }
      #expect(try await server.leases().count <= 2)
      await server.kill()
      try await server.start(afresh: true)
      try await eventually("an etcd without memory is told again") {
        try await server.keys() == ["/nerve/host1/geo", "/nerve/host1/web"]
      }
      await world.end()
      #expect(try await server.keys() == [])
    }
  }

  @Test func anEtcdThatStandsStill() async throws {
    try await withEtcd { server in
      let world = EtcdWorld(ports: [server.port], lifetime: 2)
      let (web, geo) = (world.reporter("web"), world.reporter("geo"))
      web.report(.up)
      try await eventually("registered") { web.state.isSettled }
      try await server.pause()
      geo.report(.up)
      try await eventually("no answer") { if case .failed = geo.state { true } else { false } }
      web.report(.down)
      server.resume()
      try await eventually("what was last said holds") {
        try await server.keys() == ["/nerve/host1/geo"] && web.state == .settled(.down, place: nil)
      }
      await world.end()
    }
  }

  @Test func endpointsAreTriedInTurn() async throws {
    try await withEtcd { server in
      let sick = LoopbackServer { connection in
        connection.receive(until: "\r\n\r\n")
        connection.send("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
      }
      let world = EtcdWorld(ports: [try freePort(), sick.port, server.port])
      let web = world.reporter("web")
      web.report(.up)
      try await eventually("registered by the last") { web.state.isSettled }
      #expect(try await server.keys() == ["/nerve/host1/web"])
      await world.end()
    }
  }

  @Test func theInterfaceOfEtcd2WhereTheServerHasIt() async throws {
    try await withEtcd(v2: true) { server in
      let world = EtcdWorld(ports: [server.port], lifetime: 2)
      let value = #"{"host":"10.0.0.5","a&b":"=+%"}"#
      let web = world.reporter("web", data: value)
      web.report(.up)
      try await eventually("registered") { web.state.isSettled }
      #expect(try await server.etcdctlV2(["get", "/nerve/host1/web"]) == value + "\n")
      #expect(try await server.keys() == [])
      func modified() async throws -> Int {
        let text = try await server.etcdctlV2(["-o", "extended", "get", "/nerve/host1/web"])
        let line = text.split(separator: "\n").first { $0.hasPrefix("Modified-Index: ") }
        return line.flatMap { Int($0.dropFirst("Modified-Index: ".count)) } ?? 0
      }
      let first = try await modified()
      try await eventually("its life is prolonged, beyond what it was given") { try await modified() >= first + 4 }
      _ = try await server.etcdctlV2(["rm", "/nerve/host1/web"])
      try await eventually("written again") {
        (try? await server.etcdctlV2(["get", "/nerve/host1/web"])) == value + "\n"
      }
      web.report(.down)
      try await eventually("gone") { web.state == .settled(.down, place: nil) }
      await #expect(throws: ServerTrouble.self) { try await server.etcdctlV2(["get", "/nerve/host1/web"]) }
      web.report(.up)
      try await eventually("back") { web.state.isSettled && web.state != .settled(.down, place: nil) }
      await world.end()
      await #expect(throws: ServerTrouble.self) { try await server.etcdctlV2(["get", "/nerve/host1/web"]) }
    }
  }

  @Test func theWholeAgent() async throws {
    try await withEtcd { server in
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
      agent.reload()
      try await eventually("a new weight is written in place") {
        try await server.etcdctl(["get", "/nerve/services/host1/web"]).contains(#""weight":2"#)
      }
      await agent.stop()
      #expect(try await server.keys() == [])
      #expect(try await server.leases() == [])
    }
  }
}

/// What no real etcd says.
@Suite @LoopActor struct EtcdReplyTests {
  nonisolated static let replies: [(String, String?, Int?, String?)] = [
    (#"{"header":{"revision":"5"},"ID":"7587","TTL":"30"}"#, "7587", 30, nil),
    (#"{"result":{"header":{},"ID":"7587","TTL":"29"}}"#, "7587", 29, nil),
    (#"{"result":{"ID":"7587"}}"#, "7587", nil, nil),
    (#"{"error":"etcdserver: requested lease not found","code":5}"#, nil, nil, "etcdserver: requested lease not found"),
    (#"{"error":{"grpc_code":5,"http_code":404,"message":"gone"}}"#, nil, nil, "gone"),
    (#"{"ID":"x"}"#, nil, nil, nil), ("", nil, nil, nil), ("404 page not found", nil, nil, nil), ("[1]", nil, nil, nil),
    (#"{"ID":12,"TTL":3}"#, "12", 3, nil),
  ]

  @Test("replies", arguments: replies) func reply(_ text: String, _ id: String?, _ lifetime: Int?, _ error: String?) {
    let reply = EtcdReply(Array(text.utf8))
    #expect(reply.leaseID == id)
    #expect(reply.lifetime == lifetime)
    #expect(reply.error == error)
  }

  @Test func fuzzReplies() {
    let seed = getenv("SMARTSTACK_FUZZ_SEED").flatMap { UInt64(String(cString: $0)) } ?? 1
    let rounds = getenv("SMARTSTACK_FUZZ_ROUNDS").flatMap { Int(String(cString: $0)) } ?? 2000
    var random = SeededGenerator(seed: seed)
    for _ in 0..<rounds {
      var bytes = Array((EtcdReplyTests.replies.randomElement(using: &random)?.0 ?? "").utf8)
      for _ in 0..<3 where !bytes.isEmpty {
        bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      let reply = EtcdReply(bytes)
      #expect(reply.leaseID.map { Int64($0) != nil } ?? true, "seed \(seed): \(bytes)")
    }
  }

  @Test(
    "peers that are no etcd",
    arguments: [
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
      "SSH-2.0-x\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n[[[[[", "",
    ])
  func strangers(_ answer: String) async throws {
    let server = LoopbackServer { connection in
      connection.receive(until: "\r\n\r\n")
      connection.send(answer)
    }
    let world = EtcdWorld(ports: [server.port], api: .v3)
    let web = world.reporter("web")
    web.report(.up)
    try await eventually("refused with a reason") {
      if case .failed(.up, let reason) = web.state { !reason.isEmpty } else { false }
    }
    await world.end()
  }

  @Test func requests() {
    #expect(
      EtcdMessage.put(key: "/a", value: [0xfb, 0xff], lease: "7") == #"{"key":"L2E=","value":"+/8=","lease":"7"}"#)
    #expect(EtcdV2.target("/a b/é") == "/v2/keys/a%20b/%C3%A9")
    #expect(EtcdV2.put(Array("a&b=".utf8), lifetime: 3) == "value=a%26b%3D&ttl=3")
  }
}
