import Reactor
import SmartStack
import TestSupport
import Testing

@testable import Hacheck

/// Checks by protocol, as the configuration has them, at real servers.
@Suite @LoopActor struct ProbeKindTests {
  private func probe(_ text: String, deadline: Duration = .seconds(120)) async throws -> (passed: Bool, detail: String)
  {
    let context = ProbeContext(clock: .system, commands: AsyncSemaphore(limit: 1), environment: [:])
    return await (try probeSettings(text)).probe(in: context).judged(deadline: deadline)
  }

  @Test func redis() async throws {
    let server = try await DebianServer.redis(password: "p w")
    let place = #""type": "redis", "host": "127.0.0.1", "port": \#(server.port)"#
    let fine = try await probe(place + #", "password": "p w", "db": 3"#)
    #expect(fine.passed)
    #expect(fine.detail == "healthy")
    let stranger = try await probe(place)
    #expect(!stranger.passed)
    #expect(stranger.detail.hasPrefix("NOAUTH"))
    let nowhere = try await probe(place + #", "password": "p w", "db": 999"#)
    #expect(!nowhere.passed)
    server.pause()
    let silent = try await probe(place, deadline: .milliseconds(200))
    #expect(!silent.passed)
    #expect(silent.detail.contains("did not answer within"))
    await server.kill()
    #expect(try await probe(place).detail.contains("refused"))
  }

  /// It answers `PING` by itself, and has lost the server behind it.
  @Test func aProxyOfRedisWithoutItsServer() async throws {
    let proxy = LoopbackServer { connection in
      connection.receive(until: "PING\r\n")
      connection.send("+PONG\r\n")
      connection.receive(until: "nerve-redis-service-check\r\n")
      connection.send("-ERR Connection refused\r\n")
    }
    let result = try await probe(#""type": "redis", "host": "127.0.0.1", "port": \#(proxy.port)"#)
    #expect(!result.passed)
    #expect(result.detail == "ERR Connection refused")
  }

  @Test func mysql() async throws {
    let server = try await DebianServer.mariadb(
      """
      create database shop;
      create user 'nerve'@'127.0.0.1' identified by 'p w';
      grant select on shop.* to 'nerve'@'127.0.0.1';

      """)
    let place = #""type": "mysql", "host": "127.0.0.1", "port": \#(server.port)"#
    let fine = try await probe(place + #", "username": "nerve", "password": "p w", "database": "shop""#)
    #expect(fine.passed, "\(fine.detail)")
    let old = try await probe(place + #", "user": "nerve", "password": "p w", "dbname": "shop""#)
    #expect(old.passed, "\(old.detail)")
    let stranger = try await probe(place + #", "username": "nerve", "password": "x""#)
    #expect(!stranger.passed)
    #expect(stranger.detail.hasPrefix("1045 (28000) Access denied"))
    let nowhere = try await probe(place + #", "username": "nerve", "password": "p w", "database": "none""#)
    #expect(!nowhere.passed)
  }

  @Test func httpPlainAndWithACertificateThatNobodyHasSigned() async throws {
    let server = try await DebianServer.nginx()
    for (port, tls) in [(server.port, "false"), (server.secondPort, "true")] {
      func result(_ uri: String, _ more: String = "") async throws -> (passed: Bool, detail: String) {
        try await probe(
          #"""
          "type": "http", "host": "127.0.0.1", "port": \#(port), "ssl": \#(tls), "uri": "\#(uri)", "timeout": 60,
          "open_timeout": 60, "ssl_timeout": 60\#(more)
          """#)
      }
      let fine = try await result("/ok", #", "expect": "fine", "headers": {"X-A": "1"}"#)
      #expect(fine.passed, "\(fine.detail)")
      #expect(try await result("/away").passed)
      #expect(try await result("/bad").detail == "HTTP 500: broken")
      #expect(try await result("/ok", #", "expect": "coarse""#).detail == "HTTP 200 without 'coarse' in its body")
    }
    let mixed = try await probe(
      #""type": "http", "host": "127.0.0.1", "port": \#(server.port), "ssl": true, "uri": "/""#)
    #expect(!mixed.passed)
  }

  @Test func deadlines() throws {
    func deadline(_ text: String) throws -> Duration { try probeSettings(text).deadline }
    #expect(try deadline(#""type": "redis""#) == .milliseconds(100))
    #expect(try deadline(#""type": "mysql", "username": "n""#) == .seconds(1))
    #expect(try deadline(#""type": "rabbitmq""#) == .seconds(1))
    #expect(try deadline(#""type": "exec", "command": "true""#) == .seconds(5))
    #expect(try deadline(#""type": "exec", "command": ["true"], "timeout": 0.5"#) == .milliseconds(500))
  }
}
