import Glibc
import SmartStack
import TestSupport
import Testing

@testable import Reactor

@Suite("name resolver", .timeLimit(.minutes(2 * patience))) struct NameResolverTests {
  private static let patience: Duration = .seconds(20)

  @Test @LoopActor func anAnswerTooLongForADatagramComesByStream() async throws {
    let dns = try DNSServer()
    let addresses = (1...200).map { "10.0.0.\($0)" }
    try await dns.start(["many.test": addresses])
    let resolver = NameResolver(nameservers: [.tcp(host: "127.0.0.1", port: dns.port)])
    #expect(
      try await resolver.addresses(of: "many.test", in: .ipv4, deadline: Self.patience).sorted() == addresses.sorted())
    #expect(try await resolver.addresses(of: "many.test", in: .ipv6, deadline: Self.patience) == [])
    #expect(try await resolver.addresses(of: "none.test", in: .ipv4, deadline: Self.patience) == [])
    #expect(try await resolver.addresses(of: "no..name", in: .ipv4, deadline: Self.patience) == [])
    // dnsmasq has no server to ask for other names.
    let failure = try await #require(throws: OperatorError.self) {
      try await resolver.addresses(of: "elsewhere.example", in: .ipv4, deadline: Self.patience)
    }
    // The rest is c-ares', and another sentence in each release.
    let start = "elsewhere.example cannot be looked up: "
    #expect(failure.description.hasPrefix(start) && failure.description.count > start.count)
    await dns.kill()
  }

  @Test @LoopActor func aServerThatRefusesIsFollowedByTheNext() async throws {
    let dns = try DNSServer()
    try await dns.start(["web.test": ["10.0.0.1"]])
    let resolver = NameResolver(
      nameservers: [.tcp(host: "127.0.0.1", port: try freePort()), .tcp(host: "127.0.0.1", port: dns.port)])
    #expect(try await resolver.addresses(of: "web.test", in: .ipv4, deadline: Self.patience) == ["10.0.0.1"])
    await dns.kill()
  }

  @Test @LoopActor func serviceRecordsHoldHostAndPort() async throws {
    let dns = try DNSServer()
    try await dns.start(
      ["a.test": ["10.0.0.1"]], services: ["_web._tcp.test": ["a.test,8080,1,20", "b.test,8081,2,30"]])
    let resolver = NameResolver(nameservers: [.tcp(host: "127.0.0.1", port: dns.port)])
    let found = try await resolver.services(of: "_web._tcp.test", deadline: Self.patience)
    #expect(
      Set(found) == [
        ServiceRecord(host: "a.test", port: 8080, priority: 1, weight: 20),
        ServiceRecord(host: "b.test", port: 8081, priority: 2, weight: 30),
      ])
    #expect(try await resolver.services(of: "_none._tcp.test", deadline: Self.patience) == [])
    await dns.kill()
  }

  @Test @LoopActor func aSilentIPv6QuestionDoesNotDelayIPv4() async throws {
    let server = try ScriptedNameServer { question in question.isIPv6 ? nil : question.answer([10, 0, 0, 7]) }
    let resolver = NameResolver(nameservers: [server.endpoint], timeout: .seconds(30))
    let start = LoopClock.system.now
    #expect(try await resolver.addresses(of: "web.test", deadline: .seconds(60)) == ["10.0.0.7"])
    // A wait for IPv6 would last the server's 30 s.
    #expect(LoopClock.system.now - start < .seconds(15))
  }

  @Test @LoopActor func oneQuestionServesAllAskersAndIsKeptForItsTimeToLive() async throws {
    let server = try ScriptedNameServer { $0.answer([10, 0, 0, 7], timeToLive: 200) }
    let resolver = NameResolver(nameservers: [server.endpoint])
    let tasks = (0..<20).map { _ in
      Task { @LoopActor in try await resolver.addresses(of: "web.test", deadline: Self.patience) }
    }
    for task in tasks { #expect(try await task.value == ["10.0.0.7"]) }
    #expect(server.questions == 2)
    #expect(try await resolver.addresses(of: "web.test", deadline: Self.patience) == ["10.0.0.7"])
    #expect(server.questions == 2)
    #expect(resolver.lastAddresses(of: "web.test", in: .ipv4) == ["10.0.0.7"])
  }

  /// What a resolver asks again, it doubts.
  @Test @LoopActor func aNameServerIsAskedEachTime() async throws {
    let server = try ScriptedNameServer { $0.answer([10, 0, 0, 7], timeToLive: 200) }
    let channel = NameServers(servers: [server.endpoint], timeout: Self.patience, attempts: 1)
    defer { channel.close() }
    for round in 1...2 {
      let reply = OneShotEvent<Void>()
      channel.ask("web.test", type: .ipv4) { _ in reply.happen() }
      await reply.outcome()
      #expect(server.questions == round)
    }
  }

  @Test @LoopActor func theLastAnswerServesConnectionsWhileNoServerAnswers() async throws {
    // The first question of each family is answered, the later ones are refused.
    var answered: Set<Bool> = []
    let server = try ScriptedNameServer { question in
      answered.insert(question.isIPv6).inserted ? question.answer([10, 0, 0, 7], timeToLive: 0) : question.failure
    }
    let resolver = NameResolver(nameservers: [server.endpoint])
    #expect(try await resolver.addresses(of: "web.test", deadline: Self.patience) == ["10.0.0.7"])
    #expect(try await resolver.addresses(of: "web.test", deadline: Self.patience) == ["10.0.0.7"])
    await #expect(throws: OperatorError.self) {
      try await resolver.addresses(of: "web.test", in: .ipv4, deadline: Self.patience)
    }
  }

  @Test @LoopActor func theDeadlineEndsACallAtASilentServer() async throws {
    let server = try ScriptedNameServer { _ in nil }
    let resolver = NameResolver(nameservers: [server.endpoint])
    let failure = try await #require(throws: OperatorError.self) {
      try await resolver.addresses(of: "web.test", in: .ipv4, deadline: .milliseconds(100))
    }
    #expect(failure.description == "web.test cannot be looked up: no name server has answered within 0.1 s")
  }

  @Test @LoopActor func theHostsFileComesFirstAndIsReadAgainAfterAChange() async throws {
    let directory = TemporaryDirectory()
    let path = "\(directory.path)/hosts"
    func write(_ text: String) throws { try Files.write(Array(text.utf8), to: path, mode: 0o644, sync: false) }
    try write("127.0.0.1 localhost\n::1 localhost ip6\n10.1.1.1\tWeb web.test # a comment\n")
    let resolver = NameResolver(nameservers: [.tcp(host: "127.0.0.1", port: try freePort())], hostsFile: path)
    #expect(try await resolver.addresses(of: "localhost", deadline: Self.patience) == ["127.0.0.1", "::1"])
    #expect(try await resolver.addresses(of: "WEB", deadline: Self.patience) == ["10.1.1.1"])
    try write("10.1.1.2 web\n")
    try await eventually("the changed file counts") {
      (try? await resolver.addresses(of: "web", deadline: Self.patience)) == ["10.1.1.2"]
    }
  }

  @Test @LoopActor func incompleteNamesAreLookedForBelowTheSearchDomains() {
    func candidates(_ name: String) -> [String] {
      NameResolver.candidates(for: name, below: ["two.test", "three.test"], ndots: 2)
    }
    #expect(candidates("web.a") == ["web.a.two.test", "web.a.three.test", "web.a"])
    #expect(candidates("web.a.b") == ["web.a.b", "web.a.b.two.test", "web.a.b.three.test"])
    #expect(candidates("web.") == ["web"])
  }

  /// Whatever a name server sends: no trap, no endless loop, and nothing but addresses.
  @Test @LoopActor func spoiledAnswersHoldOnlyAddresses() {
    let seed = getenv("SMARTSTACK_FUZZ_SEED").flatMap { UInt64(String(cString: $0)) } ?? 1
    let rounds = getenv("SMARTSTACK_FUZZ_ROUNDS").flatMap { Int(String(cString: $0)) } ?? 5_000
    var generator = SeededGenerator(seed: seed)
    let question = ScriptedNameServer.Question(
      bytes: [1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 119, 101, 98, 4, 116, 101, 115, 116, 0, 0, 1, 0, 1])
    for round in 0..<rounds {
      var bytes = question.answer([10, 0, 0, 1])
      for _ in 0..<Int.random(in: 1...6, using: &generator) where !bytes.isEmpty {
        let place = Int.random(in: 0..<bytes.count, using: &generator)
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: bytes.remove(at: place)
        case 1: bytes[place] = [0, 0xC0, 0xFF, 12].randomElement(using: &generator) ?? 0
        case 2: bytes[place] = .random(in: 0...255, using: &generator)
        default: bytes.insert(.random(in: 0...255, using: &generator), at: place)
        }
      }
      for type in RecordType.allCases {
        for text in NameRecords(bytes, type: type)?.addresses ?? [] where type == .ipv4 {
          #expect(text.split(separator: ".").compactMap { UInt8($0) }.count == 4, "seed \(seed), round \(round)")
        }
      }
    }
  }
}
