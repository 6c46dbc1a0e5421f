import Reactor
import SmartStack
import TestSupport
import Testing

@testable import SynapseAgent

@Suite("dns discovery", .timeLimit(.minutes(3))) struct DNSWatcherTests {
  @Test @LoopActor func namesAreFollowedAndAnOutageChangesNothing() async throws {
    let dns = try DNSServer()
    try await dns.start(["web.test": ["10.0.0.2", "10.0.0.1", "2001:db8::1"], "db.test": ["10.0.1.1"]])
    let watched = try WatchedService(
      """
      discovery:
        method: dns
        nameserver: ["\(dns.address)"]
        check_interval: 0.1
        servers:
          - {name: w, host: web.test, port: 80, labels: {a: b}}
          - {host: db.test, port: 3306}
          - {host: 10.9.9.9, port: 1}
          - {host: nothing.test, port: 2}
      """)
    try await watched.publishes([
      "w_10.0.0.1:80", "w_10.0.0.2:80", "w_2001:db8::1:80", "10.0.1.1:3306", "10.9.9.9:1",
    ])
    #expect(watched.snapshots.last?.backends.first?.labels == ["a": "b"])
    try dns.change(["web.test": ["10.0.0.3"], "db.test": ["10.0.1.1"]])
    try await watched.publishes(["w_10.0.0.3:80", "10.0.1.1:3306", "10.9.9.9:1"])
    let before = watched.snapshots
    await dns.kill()
    try await watched.logs("registry cannot be asked, what it said last stands path=web.test")
    #expect(watched.snapshots == before)
    try await dns.start(["web.test": ["10.0.0.4"], "db.test": ["10.0.1.1"]])
    try await watched.publishes(["w_10.0.0.4:80", "10.0.1.1:3306", "10.9.9.9:1"])
    try await watched.logs("registry answers again")
    try await watched.stop()
  }

  @Test @LoopActor func anAnswerTooLongForADatagramComesByStream() async throws {
    let dns = try DNSServer()
    let addresses = (1...200).map { "10.0.0.\($0)" }
    try await dns.start(["many.test": addresses])
    let resolver = DNSResolver(ResolverConfiguration(nameservers: [.tcp(host: "127.0.0.1", port: dns.port)]))
    #expect(try await resolver.addresses(of: "many.test", type: .ipv4) == addresses.sorted())
    #expect(try await resolver.addresses(of: "many.test", type: .ipv6) == [])
    #expect(try await resolver.addresses(of: "none.test", type: .ipv4) == [])
    // dnsmasq knows nobody to ask for other names.
    let failure = try await #require(throws: DNSFailure.self) {
      try await resolver.addresses(of: "elsewhere.example", type: .ipv4)
    }
    #expect(failure.description == "elsewhere.example cannot be looked up: 127.0.0.1:\(dns.port) answers REFUSED")
    await dns.kill()
  }

  @Test @LoopActor func aServerThatHangsCostsItsTurn() async throws {
    let dns = try DNSServer()
    try await dns.start(["web.test": ["10.0.0.1"]])
    var configuration = ResolverConfiguration(nameservers: [
      .tcp(host: "127.0.0.1", port: try freePort()), .tcp(host: "127.0.0.1", port: dns.port),
    ])
    configuration.timeout = .seconds(20)
    #expect(try await DNSResolver(configuration).addresses(of: "web.test", type: .ipv4) == ["10.0.0.1"])
    await dns.kill()
  }
}
