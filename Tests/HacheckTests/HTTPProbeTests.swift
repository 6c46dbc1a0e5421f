import Reactor
import SmartStack
import TestSupport
import Testing

@testable import Hacheck

@Suite struct HTTPProbeTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var status: Int
    var body = "ok"
    var expect: String?
    var passed: Bool
    var detail: String
    var testDescription: String { "\(status) \(body) \(expect ?? "")" }
  }

  static let cases = [
    Case(status: 200, passed: true, detail: "HTTP 200"),
    Case(status: 399, passed: true, detail: "HTTP 399"),
    Case(status: 199, passed: false, detail: "HTTP 199: ok"),
    Case(status: 400, passed: false, detail: "HTTP 400: ok"),
    Case(
      status: 503, body: "Service web in down state\nmore", passed: false, detail: "HTTP 503: Service web in down state"
    ),
    Case(status: 503, body: "", passed: false, detail: "HTTP 503"),
    Case(status: 200, body: "all is ok here", expect: "is ok", passed: true, detail: "HTTP 200"),
    Case(status: 200, body: "all is o", expect: "ok", passed: false, detail: "HTTP 200 without 'ok' in its body"),
    Case(status: 200, body: "", expect: "", passed: true, detail: "HTTP 200"),
    Case(status: 500, body: "ok", expect: "ok", passed: false, detail: "HTTP 500: ok"),
    Case(
      status: 502, body: "<html>\r\n<head><TITLE lang=en>502 Bad\nGateway</TITLE></head>", passed: false,
      detail: "HTTP 502: 502 Bad"),
    Case(
      status: 503, body: "\n <!DOCTYPE html><html><h1>Sorry</h1>\n<p>back soon</p>", passed: false,
      detail: "HTTP 503: Sorry"),
    Case(status: 503, body: "<html><title>", passed: false, detail: "HTTP 503"),
    Case(
      status: 200, body: String(repeating: "x", count: 1 << 20), expect: "ok", passed: false,
      detail: "HTTP 200 without 'ok' in the first 1024 KiB of its body; the rest is not searched"),
    Case(
      status: 200, body: String(repeating: "x", count: (1 << 20) - 2) + "ok", expect: "ok", passed: true,
      detail: "HTTP 200"),
  ]

  @Test(arguments: cases) func nerveTakes200To399WithTheExpectedText(_ c: Case) {
    let settings = HTTPProbe.Settings(host: "127.0.0.1", port: 1, uri: "/", expect: c.expect)
    let seen = settings.httpProbe.judge(.answered(status: c.status, body: Array(c.body.utf8)))
    #expect(seen.passed == c.passed)
    #expect(seen.detail == c.detail)
  }

  @Test func aCompressedBodyIsNotSearched() {
    let settings = HTTPProbe.Settings(host: "127.0.0.1", port: 1, uri: "/", expect: "ok")
    let seen = settings.httpProbe.judge(.answered(status: 200, body: [0x1f, 0x8b, 8, 0]))
    #expect(!seen.passed)
    #expect(seen.detail == "HTTP 200 without 'ok' in its body, which is compressed by gzip and cannot be searched")
  }

  struct Request: Sendable, CustomTestStringConvertible {
    var uri = "/health"
    var headers: [HTTPHeader] = []
    var line = "GET /health HTTP/1.1"
    var fields: [String]
    var testDescription: String { line }
  }

  /// The usual headers, in the order in which they are sent.
  private static let usual = [
    "User-Agent: nerve/\(Release.version) (health check)", "Accept: */*", "Accept-Encoding: identity",
  ]

  /// A server that some rules guard: no request without a name and what it accepts.
  @Test(arguments: [
    Request(fields: usual),
    Request(
      headers: [HTTPHeader(name: "user-agent", value: "me"), HTTPHeader(name: "ACCEPT-ENCODING", value: "gzip")],
      fields: ["user-agent: me", "ACCEPT-ENCODING: gzip", "Accept: */*"]),
    Request(uri: "http://web.example/health?a", line: "GET http://web.example/health?a HTTP/1.1", fields: usual),
  ])
  func aCheckSaysWhoAsks(_ request: Request) async throws {
    let heads = Locked<[String]>([])
    let server = LoopbackServer { connection in
      heads.withLock { $0.append(connection.receive(until: "\r\n\r\n")) }
      connection.send(Array("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".utf8))
    }
    let settings = try probeSettings(
      #""type": "http", "host": "127.0.0.1", "port": \#(server.port), "uri": "\#(request.uri)", "timeout": 30"#)
    var given = try #require(settings as? HTTPProbe.Settings)
    given.headers = request.headers
    let probe = given.httpProbe
    #expect(await probe.run(deadline: .seconds(30)) == .answered(status: 200, body: []))
    let lines = heads.withLock { $0 }.joined().split(whereSeparator: \.isNewline).map(String.init)
    #expect(lines.first == request.line)
    #expect(lines.contains("Host: 127.0.0.1:\(server.port)"))
    #expect(Array(lines.dropFirst(3)) == request.fields)
  }

  /// What Ruby's client, and so upstream, takes for an answer.
  @Test(arguments: [
    ("a body that ends early", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok"),
    ("long headers", "HTTP/1.1 200 OK\r\nX: \(String(repeating: "x", count: 160_000))\r\nContent-Length: 2\r\n\r\nok"),
    ("lower case", "http/1.1 200 ok\r\ncontent-length: +2\r\n\r\nok"),
    ("identity", "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nok"),
  ])
  func whatUpstreamTakesForAnAnswerIsOne(_ name: String, _ answer: String) async {
    let server = LoopbackServer { connection in
      _ = connection.receive(until: "\r\n\r\n")
      connection.send(Array(answer.utf8))
    }
    let settings = HTTPProbe.Settings(
      host: "127.0.0.1", port: server.port, uri: "/", openTimeout: .seconds(20), readTimeout: .seconds(20), expect: "ok"
    )
    let result = await settings.httpProbe.run(deadline: .seconds(30))
    #expect(settings.httpProbe.judge(result).passed, "\(name): \(result)")
  }

  @Test("connections of two checks", arguments: [false, true]) @LoopActor
  func aCheckLeavesItsConnectionToTheNextWhereAsked(_ isReused: Bool) async throws {
    let count = Locked(0)
    let server = LoopbackServer { connection in
      count.withLock { $0 += 1 }
      while !connection.receive(until: "\r\n\r\n").isEmpty {
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
      }
    }
    var settings = HTTPProbe.Settings(
      host: "127.0.0.1", port: server.port, uri: "/", openTimeout: .seconds(20), readTimeout: .seconds(20))
    settings.reusesConnection = isReused
    let probe = settings.httpProbe
    for _ in 0..<2 { #expect(await probe.judged(deadline: .seconds(30)).passed) }
    #expect(count.withLock { $0 } == (isReused ? 1 : 2))
    let hacheck = try ServiceFixture { ($0.reusesConnections, $0.cacheTime) = (isReused, .zero) }
    for path in ["a", "b", "a"] {
      #expect(try await hacheck.get("/http/web.main/\(server.port)/\(path)").status == 200)
    }
    #expect(count.withLock { $0 } == (isReused ? 2 : 5))
  }

  @Test func everyKeyIsRead() throws {
    let settings = try probeSettings(
      #"""
      "type": "http", "host": "127.0.0.1", "port": 6666, "uri": "status", "timeout": 1.0, "open_timeout": 0.5,
      "headers": {"X-A": "1"}, "expect": "ok", "ssl": true, "ssl_timeout": 0.25,
      "reuse_connection": true
      """#)
    #expect(
      settings as? HTTPProbe.Settings
        == HTTPProbe.Settings(
          host: "127.0.0.1", port: 6666, uri: "/status", usesTLS: true, openTimeout: .milliseconds(500),
          handshakeTimeout: .milliseconds(250), readTimeout: .seconds(1),
          headers: [HTTPHeader(name: "X-A", value: "1")],
          expect: "ok", reusesConnection: true))
    #expect(settings.name == "http-127.0.0.1:6666/status")
  }
}
