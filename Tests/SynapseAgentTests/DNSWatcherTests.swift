import Reactor
import SmartStack
import TestSupport
import Testing

@testable import SynapseAgent

@Suite("dns discovery", .timeLimit(.minutes(3 * patience))) struct DNSWatcherTests {
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
    try await watched.logs("registry query failed, last answer kept path=web.test")
    #expect(watched.snapshots == before)
    try await dns.start(["web.test": ["10.0.0.4"], "db.test": ["10.0.1.1"]])
    try await watched.publishes(["w_10.0.0.4:80", "10.0.1.1:3306", "10.9.9.9:1"])
    try await watched.logs("registry query succeeded again")
    try await watched.stop()
  }

  @Test @LoopActor func aServiceNameStandsForItsRecords() async throws {
    let dns = try DNSServer()
    try await dns.start(
      ["a.test": ["10.0.0.1", "10.0.0.2"], "b.test": ["10.0.1.1"]],
      services: ["_web._tcp.test": ["a.test,8080,1,20", "b.test,8081,2,30"]])
    let watched = try WatchedService(
      """
      discovery:
        method: dns
        nameserver: ["\(dns.address)"]
        check_interval: 0.1
        servers:
          - {name: w, host: _web._tcp.test}
          - {host: b.test, port: 3306}
      """)
    try await watched.publishes(["w_10.0.0.1:8080", "w_10.0.0.2:8080", "w_10.0.1.1:8081", "10.0.1.1:3306"])
    await dns.kill()
    try await watched.logs("registry query failed, last answer kept path=_web._tcp.test")
    #expect(watched.servers == ["w_10.0.0.1:8080", "w_10.0.0.2:8080", "w_10.0.1.1:8081", "10.0.1.1:3306"])
    try await watched.stop()
  }
}
