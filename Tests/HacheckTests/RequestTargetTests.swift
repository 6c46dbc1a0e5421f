import Testing

@testable import Hacheck

@Suite struct RequestTargetTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let target: String
    let expected: String
    var testDescription: String { target }

    init(_ target: String, _ expected: String) {
      self.target = target
      self.expected = expected
    }
  }

  static let cases = [
    Case("/http/web.main/31000/status", "http web.main 31000 status"),
    Case("/http/web.main/31000/", "http web.main 31000 "),
    Case("/http/web.main/31000//a", "http web.main 31000 a"),
    Case("/http/web.main/31000///a", "http web.main 31000 /a"),
    Case("/http/web.main/31000/a?", "http web.main 31000 a"),
    Case("/http/web.main/31000/a??", "http web.main 31000 a??"),
    Case("/http/web.main/31000/?", "http web.main 31000 "),
    Case("/http/web.main/31000/a?b?", "http web.main 31000 a?b?"),
    Case("/http/web.main/31000/a/b?c=1&d=%20", "http web.main 31000 a/b?c=1&d=%20"),
    Case("/http/web.main/31000/../../etc/passwd", "http web.main 31000 ../../etc/passwd"),
    Case("/http/web.main/31000", "unknown"),
    Case("/https/web.main/31000", "unknown"),
    Case("/https/web.main/31000/x", "https web.main 31000 x"),
    Case("/tcp/web.main/31000", "tcp web.main 31000 "),
    Case("/tcp/web.main/31000?a", "tcp web.main 31000 ?a"),
    Case("/mysql/db/3306", "mysql db 3306 "),
    Case("/smtp/mail/25/", "smtp mail 25 "),
    Case("/spool/web.main/0/status", "spool web.main 0 status"),
    Case("/spool/web.main/00080/status", "spool web.main 80 status"),
    Case("/spool/my-svc_2.main.x/8080/%zz", "spool my-svc_2.main.x 8080 %zz"),
    Case("/spool/web.main/8080abc", "unknown"),
    Case("/spool/web.main/8080abc/", "unknown"),
    Case("/spool/web.main//status", "unknown"),
    Case("/spool/web.main/٣/status", "unknown"),
    Case("/spool/web.main/-1/status", "unknown"),
    Case("/spool//8080/status", "unknown"),
    Case("/spool/%2e%2e/8080/status", "unknown"),
    Case("/spool/a:b/8080/status", "unknown"),
    Case("/spool/./8080/status", "refused"),
    Case("/spool/../8080/status", "refused"),
    Case("/spool/.../8080/status", "spool ... 8080 status"),
    Case("/spool/web.main/65535/s", "spool web.main 65535 s"),
    Case("/spool/web.main/65536/s", "refused"),
    Case("/spool/web.main/99999999999999999999999/s", "refused"),
    Case(
      "/spool/" + String(repeating: "a", count: 255) + "/1/s", "spool " + String(repeating: "a", count: 255) + " 1 s"),
    Case("/spool/" + String(repeating: "a", count: 256) + "/1/s", "refused"),
    Case("/http/web.main/1/a b", "refused"),
    Case("/http/web.main/1/a\tb", "refused"),
    Case("//spool/web.main/8080/status", "unknown"),
    Case("/SPOOL/web.main/8080/status", "unknown"),
    Case("/udp/web.main/8080/status", "unknown"),
    Case("http://127.0.0.1:3333/spool/web.main/8080/status", "spool web.main 8080 status"),
    Case("http://127.0.0.1:3333", "root"),
    Case("/status", "status"), Case("/status?x", "status"), Case("/status/count", "statusCount"),
    Case("/metrics", "metrics"),
    Case("/recent", "recent "), Case("/recent?threshold=5", "recent threshold=5"),
    Case("/recent/", "unknown"), Case("/status/", "unknown"), Case("/", "root"), Case("/?q=a", "root"),
    Case("", "unknown"), Case("/healthz", "health"), Case("/healthz/", "unknown"),
    Case("*", "unknown"), Case("/../../../etc/passwd", "unknown"),
  ]

  @Test(arguments: cases) func readsTargets(_ c: Case) {
    let found =
      switch RequestTarget(c.target) {
      case .check(let check): "\(check.protocol) \(check.service) \(check.port) \(check.query)"
      case .status: "status"
      case .statusCount: "statusCount"
      case .metrics: "metrics"
      case .recent(let query): "recent \(query)"
      case .health: "health"
      case .root: "root"
      case .unknown: "unknown"
      case .refused: "refused"
      }
    #expect(found == c.expected)
  }

  @Test func refusalsSayWhatIsWrong() {
    #expect(RequestTarget("/spool/../1/s") == .refused("`..` is not a service name"))
    #expect(RequestTarget("/tcp/web/70000") == .refused("70000 is not a port: 0...65535 are"))
  }
}
