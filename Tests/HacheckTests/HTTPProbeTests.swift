import Reactor
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
  ]

  @Test(arguments: cases) func nerveTakes200To399WithTheExpectedText(_ c: Case) {
    let settings = HTTPProbe.Settings(host: "127.0.0.1", port: 1, uri: "/", expect: c.expect)
    let seen = settings.httpProbe.judge(.answered(status: c.status, body: Array(c.body.utf8)))
    #expect(seen.passed == c.passed)
    #expect(seen.detail == c.detail)
  }

  @Test func everyKeyIsRead() throws {
    let settings = try probeSettings(
      #"""
      "type": "http", "host": "127.0.0.1", "port": 6666, "uri": "status", "timeout": 1.0, "open_timeout": 0.5,
      "headers": {"X-A": "1"}, "expect": "ok", "ssl": true, "ssl_timeout": 0.25
      """#)
    #expect(
      settings as? HTTPProbe.Settings
        == HTTPProbe.Settings(
          host: "127.0.0.1", port: 6666, uri: "/status", usesTLS: true, openTimeout: .milliseconds(500),
          handshakeTimeout: .milliseconds(250), readTimeout: .seconds(1),
          headers: [HTTPHeader(name: "X-A", value: "1")],
          expect: "ok"))
    #expect(settings.name == "http-127.0.0.1:6666/status")
  }
}
