import Glibc
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import Registry

/// One agent's registrars at one etcd.
@LoopActor private final class EtcdWorld {
  let registry: EtcdRegistry
  private(set) var registrations = 0
  private let clock: LoopClock

  init(ports: [Int], api: EtcdSettings.API = .auto, lifetime: Int = 60, clock: LoopClock = .system) {
    self.clock = clock
    registry = EtcdRegistry(
      EtcdSettings(endpoints: ports.map { .tcp(host: "127.0.0.1", port: $0) }, api: api, lifetime: lifetime),
      clock: clock, logger: silent)
  }

  func registrar(_ service: String, data: String = "{}") -> Registrar {
    let key = "/nerve/host1/\(service)"
    let target = EtcdTarget(
      cluster: EtcdSettings(endpoints: [], api: .auto, lifetime: 60), key: key, data: Array(data.utf8))
    return Registrar(target: .etcd(target), record: registry.join(key), clock: clock) { [weak self] event in
      if case .registered = event { self?.registrations += 1 }
    }
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
      let (web, geo) = (world.registrar("web", data: #"{"host":"10.0.0.5","é":1}"#), world.registrar("geo"))
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
      let clock = LoopClock.manual()
      let world = EtcdWorld(ports: [server.port], lifetime: 60, clock: clock)
      let registrars = (0..<20).map { world.registrar("s\($0)") }
      for registrar in registrars { registrar.report(.up) }
      try await eventually("all are registered") { registrars.allSatisfy { $0.state.isSettled } }
      let lost = try #require(try await server.leases().first)
      _ = try await server.etcdctl(["lease", "revoke", lost])
      #expect(try await server.keys() == [])
      // The next sign of life is due a third of the lease's life after it was granted.
      clock.advance(by: .seconds(20))
      try await eventually("all are back") { try await server.keys().count == 20 }
      let leases = try await server.leases()
      #expect(leases.count == 1)
      #expect(leases.first != lost)
      try await eventually("and known to be") { registrars.allSatisfy { $0.state.isSettled } }
      #expect(world.registrations == 40)
      await world.end()
    }
  }

  @Test func keysReturnAfterARestartAndAfterTheLossOfAllData() async throws {
    try await withEtcd { server in
      let world = EtcdWorld(ports: [server.port], lifetime: 3)
      let (web, geo) = (world.registrar("web"), world.registrar("geo"))
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

  @Test func aSilentEtcdIsToldTheLatestVerdictAfterwards() async throws {
    try await withEtcd { server in
      let world = EtcdWorld(ports: [server.port], lifetime: 2)
      let (web, geo) = (world.registrar("web"), world.registrar("geo"))
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
      let web = world.registrar("web")
      web.report(.up)
      try await eventually("registered by the last") { web.state.isSettled }
      #expect(try await server.keys() == ["/nerve/host1/web"])
      await world.end()
    }
  }

  @Test func aServerWithTheInterfaceOfEtcd2IsSpokenToInIt() async throws {
    try await withEtcd(v2: true) { server in
      let world = EtcdWorld(ports: [server.port], lifetime: 2)
      let value = #"{"host":"10.0.0.5","a&b":"=+%"}"#
      let web = world.registrar("web", data: value)
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

  @Test func whatIsKeptOfAnEtcdSaysHowToReachIt() {
    let endpoints = [Endpoint.tcp(host: "e1.example.com", port: 2379), .tcp(host: "::1", port: 4003)]
    let settings = EtcdSettings(endpoints: endpoints, api: .v2, lifetime: 60)
    #expect(settings.name == "etcd v2 60 e1.example.com:2379,[::1]:4003")
    #expect(EtcdSettings(name: settings.name) == settings)
    for name in ["files", "zk1:2181", "etcd e1:2379", "etcd v2 60 e1", "etcd v4 60 e1:1", "etcd v2 x e1:1", ""] {
      #expect(EtcdSettings(name: name) == nil)
    }
  }

  @Test("replies", arguments: replies) func aReplyIsReadForLeaseLifetimeAndError(
    _ text: String, _ id: String?, _ lifetime: Int?, _ error: String?
  ) {
    let reply = EtcdReply(Array(text.utf8))
    #expect(reply.leaseID == id)
    #expect(reply.lifetime == lifetime)
    #expect(reply.error == error)
  }

  @Test func mutatedRepliesGiveALeaseNumberOrNone() {
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
    arguments: [
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
      "SSH-2.0-x\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n[[[[[", "",
    ])
  func aPeerThatIsNotAnEtcdIsARefusalWithAReason(_ answer: String) async throws {
    let server = LoopbackServer { connection in
      connection.receive(until: "\r\n\r\n")
      connection.send(answer)
    }
    let world = EtcdWorld(ports: [server.port], api: .v3)
    let web = world.registrar("web")
    web.report(.up)
    try await eventually("refused with a reason") {
      if case .failed(.up, let reason) = web.state { !reason.isEmpty } else { false }
    }
    await world.end()
  }

  @Test func requestsAreEncodedAsEtcdReadsThem() {
    #expect(
      EtcdMessage.put(key: "/a", value: [0xfb, 0xff], lease: "7") == #"{"key":"L2E=","value":"+/8=","lease":"7"}"#)
    #expect(EtcdMessage.v2Target("/a b/é") == "/v2/keys/a%20b/%C3%A9")
    #expect(EtcdMessage.v2Put(Array("a&b=".utf8), lifetime: 3) == "value=a%26b%3D&ttl=3")
  }
}
