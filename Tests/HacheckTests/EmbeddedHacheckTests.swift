import Reactor
import SmartStack
import TestSupport
import Testing

@testable import Hacheck

/// The hacheck inside nerve, with a spool of its own and no port taken.
@Suite @LoopActor struct EmbeddedHacheckTests {
  let spool = TemporaryDirectory()
  let metrics = Metrics()

  private func embedded(port: Int = 0, address: String = "127.0.0.1") -> EmbeddedHacheck {
    var configuration = HacheckConfiguration()
    configuration.ports = [port]
    configuration.bindAddress = address
    configuration.spoolRoot = spool.path
    configuration.allowsSpoolChanges = true
    configuration.hostAddress = "10.9.8.7"
    return EmbeddedHacheck(configuration: configuration, clock: .system, logger: .quiet, metrics: metrics)
  }

  private func settings(
    _ uri: String = "/spool/web.main/31000/status", host: String = "127.0.0.1", port: Int = 6666,
    headers: [HTTPHeader] = [], tls: Bool = false
  ) -> HTTPProbe.Settings {
    HTTPProbe.Settings(
      host: host, port: port, uri: uri, usesTLS: tls, openTimeout: .seconds(5), handshakeTimeout: .seconds(1),
      readTimeout: .seconds(5), headers: headers, expect: nil)
  }

  @Test func whichAddressesAreOurs() {
    let everywhere = embedded(port: 6666, address: "0.0.0.0")
    for host in ["127.0.0.1", "localhost", "127.1.2.3", "10.9.8.7"] {
      #expect(everywhere.isOwn(host: host, port: 6666))
    }
    #expect(!everywhere.isOwn(host: "10.0.0.99", port: 6666))
    #expect(!everywhere.isOwn(host: "127.0.0.1", port: 6667))
    let local = embedded(port: 6666, address: "127.0.0.1")
    for host in ["127.0.0.1", "localhost"] { #expect(local.isOwn(host: host, port: 6666)) }
    for host in ["127.0.0.2", "10.9.8.7", "::1"] { #expect(!local.isOwn(host: host, port: 6666)) }
  }

  @Test func onlyHealthQuestionsBecomeCalls() {
    let hacheck = embedded(port: 6666)
    func isCall(_ settings: HTTPProbe.Settings) -> Bool {
      hacheck.probe(for: settings) != nil
    }
    #expect(isCall(settings()))
    #expect(isCall(settings("/http/web.main/31000/status?x=1")))
    #expect(!isCall(settings("/status")))
    #expect(!isCall(settings("/recent")))
    #expect(!isCall(settings(tls: true)))
    #expect(!isCall(settings(host: "10.0.0.99")))
    #expect(!isCall(settings(port: 80)))
  }

  @Test func aDowntimeIsSeenThroughTheCheckThatAsksAboutIt() async throws {
    let hacheck = embedded(port: 6666)
    try hacheck.service.open()
    defer { hacheck.service.stop() }
    let here = try #require(hacheck.probe(for: settings()))
    let other = try #require(
      hacheck.probe(for: settings(headers: [HTTPHeader(name: "X-Nerve-Check-IP", value: "10.1.1.1")])))
    #expect(here.downtime == nil)
    for scope in [SpoolScope.everything, .service("web.main"), .instance(service: "web.main", host: nil, port: 31000)] {
      try await hacheck.service.down(scope, reason: "r")
      #expect(here.downtime?.scope == scope)
      try await hacheck.service.up(scope)
      #expect(here.downtime == nil)
    }
    try await hacheck.service.down(.instance(service: "web.main", host: "10.1.1.1", port: 31000), reason: "r")
    #expect(here.downtime == nil)
    #expect(other.downtime?.reason == "r")
    try await hacheck.service.down(.instance(service: "web.main", host: nil, port: 31001), reason: "r")
    #expect(here.downtime == nil)
  }
}
