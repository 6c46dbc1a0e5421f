import Reactor
import TestSupport
import Testing

@testable import Hacheck

/// Every kind of check against servers from Debian, over HTTP as an asker sees it.
@Suite struct RealServerTests {
  @Test @LoopActor func nginxIsAskedWithAndWithoutTLS() async throws {
    let nginx = try await DebianServer.nginx()
    let hacheck = try ServiceFixture()
    let cases: [(target: String, status: Int, text: String)] = [
      ("http/web/\(nginx.port)/ok", 200, "fine"), ("http/web/\(nginx.port)/bad", 500, "broken"),
      ("https/web/\(nginx.secondPort)/ok", 200, "fine"), ("https/web/\(nginx.secondPort)/bad", 500, "broken"),
      // nginx's own page for plain HTTP on a TLS port is a 400.
      ("http/web/\(nginx.secondPort)/ok", 400, "<html>"),
      ("http/web/\(nginx.port)/away", 302, "<html>"),
    ]
    for c in cases {
      let answer = try await hacheck.get("/\(c.target)")
      #expect(answer.status == c.status, "\(c.target)")
      #expect(answer.text.hasPrefix(c.text), "\(c.target): \(answer.text)")
    }
    let wrong = try await hacheck.get("/https/web/\(nginx.port)/ok")
    #expect(wrong.status == 503)
    #expect(wrong.text.contains("TLS"), "\(wrong.text)")
    #expect(try await hacheck.get("/tcp/web/\(nginx.port)").status == 200)
  }

  @Test @LoopActor func redisIsAskedForAPong() async throws {
    let (open, closed) = (try await DebianServer.redis(), try await DebianServer.redis(password: "a b\"c"))
    let hacheck = try ServiceFixture()
    let answer = try await hacheck.get("/redis/cache/\(open.port)")
    #expect(answer.status == 200)
    #expect(answer.text.wholeMatch(of: /Connected in [0-9]+\.[0-9][0-9]s/) != nil)
    let refused = try await hacheck.get("/redis/cache/\(closed.port)/status")
    #expect(refused.status == 503)
    #expect(refused.text.hasPrefix("Redis said NOAUTH "), "\(refused.text)")

    let place = Endpoint.tcp(host: "127.0.0.1", port: closed.port)
    let knowing = try ServiceFixture { ($0.redisPassword, $0.redisServers) = ("a b\"c", [place]) }
    #expect(try await knowing.get("/redis/cache/\(closed.port)").status == 200)
    let wrong = try ServiceFixture {
      ($0.redisUsername, $0.redisPassword, $0.redisServers) = ("nobody", "x", [place])
    }
    #expect(try await wrong.get("/redis/cache/\(closed.port)").text.hasPrefix("Redis said WRONGPASS "))

    let endpoint = Endpoint.tcp(host: "127.0.0.1", port: open.port)
    #expect(await RedisProbe(endpoint: endpoint, database: 15).run(deadline: .seconds(300)) == .healthy())
    guard case .refused(let words) = await RedisProbe(endpoint: endpoint, database: 16).run(deadline: .seconds(300))
    else {
      throw ServerTrouble(description: "Redis has 16 databases, from 0")
    }
    #expect(words.contains("out of range"), "\(words)")
  }

  @Test @LoopActor func mariadbIsLoggedInTo() async throws {
    let server = try await DebianServer.mariadb(
      """
      create user 'probe'@'127.0.0.1' identified via mysql_native_password using password('p w');
      create user 'empty'@'127.0.0.1';
      install soname 'auth_ed25519';
      create user 'modern'@'127.0.0.1' identified via ed25519 using password('p w');
      create database shop;
      grant select on shop.* to 'probe'@'127.0.0.1';

      """)
    let place = Endpoint.tcp(host: "127.0.0.1", port: server.port)
    let hacheck = try ServiceFixture {
      ($0.mysqlUsername, $0.mysqlPassword, $0.mysqlServers) = ("probe", "p w", [place])
    }
    let answer = try await hacheck.get("/mysql/db/\(server.port)")
    #expect(answer.status == 200)
    #expect(answer.text == "MySQL connect response: OK")
    let stranger = try ServiceFixture {
      ($0.mysqlUsername, $0.mysqlPassword, $0.mysqlServers) = ("probe", "wrong", [place])
    }
    let refused = try await stranger.get("/mysql/db/\(server.port)")
    #expect(refused.status == 500)
    #expect(refused.text.hasPrefix("MySQL sez 1045 (28000) Access denied for user 'probe'"), "\(refused.text)")

    let endpoint = Endpoint.tcp(host: "127.0.0.1", port: server.port)
    func result(_ username: String, _ password: String, _ database: String? = nil) async -> ProbeResult {
      await MySQLProbe(
        endpoint: endpoint, username: username, password: password, database: database, selectsOne: true
      ).run(deadline: .seconds(300))
    }
    #expect(await result("probe", "p w") == .healthy())
    #expect(await result("probe", "p w", "shop") == .healthy())
    #expect(await result("empty", "") == .healthy())
    #expect(await "\(result("probe", "p w", "nothing"))".hasPrefix("1044 (42000) "))
    #expect(await "\(result("modern", "p w"))".contains("`client_ed25519`"))
  }

  @Test @LoopActor func aMailServerIsGreeted() async throws {
    let server = try await DebianServer.openSMTPD()
    for hello in [nil, "probe.test"] {
      let hacheck = try ServiceFixture { $0.smtpHello = hello }
      let answer = try await hacheck.get("/smtp/mail/\(server.port)")
      #expect(answer.status == 200, "\(answer.text)")
      #expect(answer.text.hasPrefix("Connected in "), "\(answer.text)")
    }
  }

  @Test(arguments: ["http", "https", "redis", "mysql", "smtp"])
  @LoopActor func aServerThatStandsStillIsDownAtTheDeadline(_ kind: String) async throws {
    let server = try await DebianServer.redis()
    server.pause()
    let hacheck = try ServiceFixture {
      $0.healthcheckTimeout = .milliseconds(200)
      ($0.mysqlUsername, $0.mysqlPassword) = ("u", "p")
      $0.mysqlServers = [.tcp(host: "127.0.0.1", port: server.port)]
    }
    let answer = try await hacheck.get("/\(kind)/svc/\(server.port)/ok")
    #expect(answer.status == 503)
    #expect(answer.text.contains("timed out") || answer.text.contains("within"), "\(answer.text)")
  }
}
