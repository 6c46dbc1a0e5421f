import SmartStack
import TestSupport
import Testing

@testable import HAProxyConfigGen

/// What is known of HAProxy's releases, and what the installed one says to it.
@Suite("directives of HAProxy's releases") struct DirectiveHistoryTests {
  private static let lines: [(line: String, version: HAProxyVersion, words: String?)] = [
    ("option forceclose", HAProxyVersion(2, 4, 30), nil),
    ("option forceclose", HAProxyVersion(2, 5), "removed in 2.5; write `option httpclose`"),
    ("no option forceclose", HAProxyVersion(2, 6, 12), "removed in 2.5; write `option httpclose`"),
    ("option http-tunnel", HAProxyVersion(3, 0), "remove it"),
    ("reqadd X-A:\\ b", HAProxyVersion(2, 0, 35), nil),
    ("reqadd X-A:\\ b", HAProxyVersion(2, 2, 1), "write `http-request add-header`"),
    ("rspidel ^Server", HAProxyVersion(2, 6), "write `http-response del-header`"),
    ("timeout clitimeout 3s", HAProxyVersion(2, 6), "write `timeout client`"),
    ("timeout client 3s", HAProxyVersion(2, 6), nil),
    ("monitor-net 10.0.0.0/8", HAProxyVersion(2, 2), nil),
    ("monitor-net 10.0.0.0/8", HAProxyVersion(2, 3), "removed in 2.3"),
    ("bind-process 1", HAProxyVersion(2, 6, 12), nil),
    ("bind-process 1", HAProxyVersion(3, 0), "removed in 2.7"),
    ("http-check send meth GET", HAProxyVersion(2, 1), "does not know `http-check send` yet, which is new in 2.2"),
    ("http-check send meth GET", HAProxyVersion(2, 2), nil),
    ("http-check send-state", HAProxyVersion(2, 0), nil),
    ("option httpchk GET /x HTTP/1.1\\r\\nHost:\\ a", HAProxyVersion(3, 0), nil),
    ("http-request return status 200", HAProxyVersion(2, 0), "new in 2.2"),
    ("http-request set-header A b", HAProxyVersion(2, 0), nil),
    ("tcp-response content set-bandwidth-limit x", HAProxyVersion(2, 6), "new in 2.7"),
    ("option httpslog", HAProxyVersion(2, 4), "new in 2.5"), ("guid web", HAProxyVersion(2, 9), "new in 3.0"),
    ("nonsense", HAProxyVersion(2, 6), nil), ("no", HAProxyVersion(2, 6), nil), ("", HAProxyVersion(2, 6), nil),
  ]

  @Test("a release refuses directives that came later or were removed", arguments: lines)
  func refusals(_ line: String, _ version: HAProxyVersion, _ words: String?) {
    let message = Directives.refusal(of: line.words, by: version)
    if let words {
      #expect(message?.contains(words) == true, "\(message ?? "nothing")")
    } else {
      #expect(message == nil)
    }
  }

  @Test("every directive has a place, and is listed once") func table() {
    #expect(Set(Directives.rows.map(\.phrase)).count == Directives.rows.count)
    // This one stood in no section of its own.
    for row in Directives.rows where row.phrase != "option http-use-htx" {
      #expect(Directives.place(of: row.phrase.words) != .unknown, "\(row.phrase)")
    }
  }

  /// Some errors keep HAProxy from reading on: a file for each.
  @Test("the installed HAProxy agrees") func installed() throws {
    let version = try HAProxyTool.version()
    let head = ["defaults", "mode http", "timeout connect 1s", "timeout client 1s", "timeout server 1s", "listen x"]
    for line in Directives.rows.map(\.phrase) + ["option forceclose", "option http-tunnel"].map({ "no \($0)" }) {
      let (_, found, output) = try HAProxyTool.check((head + [line]).joined(separator: "\n") + "\n")
      let alerts = found.filter { $0.line == head.count + 1 }.map(\.message)
      if Directives.refusal(of: line.words, by: version) != nil {
        #expect(!alerts.isEmpty, "\(version) takes `\(line)`: \(output.suffix(500))")
      } else {
        // Without its arguments it may be refused, but not as something unheard of.
        let unheard = alerts.filter { alert in
          ["unknown keyword", "not supported", "exist anymore"].contains { alert.contains($0) }
        }
        #expect(unheard.isEmpty, "\(version) does not know `\(line)`")
      }
    }
  }

  @Test(
    "a word with a successor is written as that",
    arguments: [
      ("clitimeout 5s", "timeout client 5s"), ("redispatch", "option redispatch"),
      ("block if x", "http-request deny if x"),
      ("reqtarpit . if x", "http-request tarpit if x"), ("reqtarpit ^Host", nil), ("timeout client 5s", nil),
      ("no option forceclose", nil), ("option forceclose", nil),
    ]) func translated(_ line: String, _ successor: String?)
  {
    #expect(Directives.translation(of: line, for: HAProxyVersion(2, 6)) == successor)
    #expect(Directives.translation(of: line, for: HAProxyVersion(2, 0)) == nil)
  }

  @Test("a service's line is named before anybody is asked, the others stay") func before() throws {
    let service = Fixture.service {
      $0.backend = ["option forceclose", "fullconn 5"]
      $0.listen = ["reqadd X-A:\\ b", "http-request return status 200 if FALSE"]
    }
    var settings = Fixture.settings
    settings.defaults += ["option forceclose", "monitor-net 10.0.0.0/8"]
    var model = Fixture.model([Fixture.backend(1)], settings: settings, service: service)
    #expect(model.problems.isEmpty)
    let changes = (0..<2).map { _ in model.setVersion(HAProxyVersion(2, 6, 12)) }
    #expect(changes == [true, false])
    let problems = model.problems.map(\.description)
    for words in [
      "services.web.main.haproxy.backend[0]: `option forceclose` is skipped: HAProxy 2.6.12 has no",
      "services.web.main.haproxy.listen[0]: `reqadd", "haproxy.defaults[5]: `option forceclose` is skipped",
      "haproxy.defaults[6]: `monitor-net 10.0.0.0/8` is skipped",
    ] { #expect(problems.contains { $0.contains(words) }, "\(words) in \(problems)") }
    #expect(
      model.lines(of: "backend web.main").prefix(2) == [
        "fullconn 5", "http-request return status 200 if FALSE",
      ])
    _ = model.setVersion(HAProxyVersion(2, 0, 30))
    #expect(model.lines(of: "backend web.main").prefix(2) == ["option forceclose", "fullconn 5"])
    #expect(model.problems.map(\.message).contains { $0.contains("new in 2.2") })
  }
}
