import Reactor
import TestSupport
import Testing

@testable import Hacheck

@Suite struct SpoolAccessPolicyTests {
  struct Case: Sendable {
    var site: String?
    var origin: String?
    var referer: String?
    var host: String? = "10.0.0.5:6666"
    let isObeyed: Bool
  }

  static let cases = [
    // Programs.
    Case(isObeyed: true), Case(host: nil, isObeyed: true), Case(host: "evil.example", isObeyed: true),
    // hacheck's own page.
    Case(site: "same-origin", origin: "http://10.0.0.5:6666", isObeyed: true),
    Case(origin: "http://10.0.0.5:6666", referer: "http://10.0.0.5:6666/?q=x", isObeyed: true),
    Case(referer: "http://10.0.0.5:6666/", isObeyed: true),
    Case(origin: "HTTP://LOCALHOST:6666", host: "localhost:6666", isObeyed: true),
    Case(origin: "http://[::1]:6666", host: "[::1]:6666", isObeyed: true),
    Case(origin: "https://web1:443", host: "web1:443", isObeyed: true),
    Case(site: "none", isObeyed: true),
    // Other sites' pages.
    Case(site: "cross-site", isObeyed: false), Case(site: "same-site", isObeyed: false),
    Case(site: "whatever", isObeyed: false),
    Case(site: "same-origin", origin: "http://evil.example", isObeyed: false),
    Case(origin: "http://evil.example", isObeyed: false), Case(origin: "null", isObeyed: false),
    Case(origin: "", isObeyed: false), Case(origin: "http://10.0.0.5:6667", isObeyed: false),
    Case(origin: "http://10.0.0.5:6666.evil.example", isObeyed: false),
    Case(origin: "http://10.0.0.5:6666@evil.example", isObeyed: false),
    Case(referer: "http://evil.example/10.0.0.5:6666", isObeyed: false), Case(referer: "about:blank", isObeyed: false),
    Case(origin: "http://10.0.0.5:6666", referer: "http://evil.example/", isObeyed: false),
    Case(origin: "file://10.0.0.5:6666", isObeyed: false),
    Case(site: "same-origin", host: nil, isObeyed: false), Case(site: "same-origin", host: "", isObeyed: false),
  ]

  @Test(arguments: cases) @LoopActor func sitesAreToldApart(_ c: Case) {
    let fields = [("Sec-Fetch-Site", c.site), ("Origin", c.origin), ("Referer", c.referer), ("Host", c.host)]
    let headers = fields.compactMap { name, value in value.map { HTTPHeader(name: name, value: $0) } }
    let refusal = SpoolAccessPolicy.refusal(of: .list(headers))
    #expect((refusal == nil) == c.isObeyed, "\(refusal ?? "obeyed")")
  }

  @Test @LoopActor func anotherSitesFormDrainsNothing() async throws {
    let hacheck = try ServiceFixture { $0.allowsSpoolChanges = true }
    let form = HTTPHeader(name: "Content-Type", value: "application/x-www-form-urlencoded")
    for target in ["/spool/web/0/status", "/"] {
      for (name, value) in [("Sec-Fetch-Site", "cross-site"), ("Origin", "http://evil.example"), ("Origin", "null")] {
        let headers = [form, HTTPHeader(name: name, value: value), HTTPHeader(name: "Accept", value: "text/html")]
        let request = HTTPRequest(
          method: "POST", endpoint: .tcp(host: "127.0.0.1", port: hacheck.port), target: target, headers: headers,
          body: Array("mark=web&status=down&reason=x".utf8))
        let answer = try await HTTPClient.send(request, deadline: .seconds(300))
        #expect(answer.status == 403, "\(target) \(name): \(value)")
        #expect(answer.text.contains("site"))
      }
    }
    #expect(hacheck.service.downtime(for: "web", port: nil) == nil)
    let own = ["Origin": "http://127.0.0.1:\(hacheck.port)", "Sec-Fetch-Site": "same-origin"]
    let fields = [form] + own.map { HTTPHeader(name: $0.key, value: $0.value) }
    let request = HTTPRequest(
      method: "POST", endpoint: .tcp(host: "127.0.0.1", port: hacheck.port), target: "/spool/web/0/status",
      headers: fields, body: Array("status=down&reason=x".utf8))
    #expect(try await HTTPClient.send(request, deadline: .seconds(300)).status == 200)
  }

  /// A page of evil.example whose name now leads here ("DNS rebinding") reads what its own origin answers.
  @Test(arguments: [
    ("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Mode", "cors"), ("Origin", "http://evil.example:6666"),
    ("Referer", "http://evil.example:6666/"), ("Accept-Language", "en"),
  ])
  @LoopActor func aForeignNameThatLeadsHereReadsNothing(_ name: String, _ value: String) async throws {
    let hacheck = try ServiceFixture { $0.pageHosts = ["Web1.example"] }
    let backend = try Backend()
    for target in ["/", "/status", "/status/count", "/recent", "/metrics", "/healthz", "/http/web/\(backend.port)/s"] {
      let evil = [name: value, "Host": "evil.example:6666", "Accept": "text/html"]
      let answer = try await hacheck.get(target, evil)
      #expect(answer.status == 403 && answer.text.contains("page_hosts"), "\(target): \(answer.text)")
    }
    #expect(backend.requests.isEmpty)
    for host in ["127.0.0.1:1", "[::1]", "LOCALHOST:6666", "web1.example"] {
      #expect(try await hacheck.get("/status", [name: value, "Host": host]).status == 200, "\(host)")
    }
    // A program may call this machine what it likes.
    #expect(try await hacheck.get("/status", ["Host": "evil.example"]).status == 200)
  }

  @Test @LoopActor func anotherSitesPictureAsksNothing() async throws {
    let hacheck = try ServiceFixture()
    let backend = try Backend()
    let target = "/http/web/\(backend.port)/s"
    let picture = ["Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"]
    #expect(try await hacheck.get(target, picture).status == 403)
    #expect(backend.requests.isEmpty)
    let link = ["Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"]
    #expect(try await hacheck.get(target, link).status == 200)
  }

  @Test @LoopActor func thisMachineIsAKeyword() async throws {
    var configuration = HacheckConfiguration()
    configuration.allowsSpoolChanges = true
    (configuration.spoolChangeNetworks, configuration.allowsOwnSpoolChanges) = ([], true)
    let own = OwnAddresses(host: "192.0.2.7", clock: .system)
    let policy = SpoolAccessPolicy(configuration: configuration, own: own)
    for peer in ["127.0.0.1", "127.9.9.9", "::1", "192.0.2.7", "unix"] { #expect(policy.refusal(ofPeer: peer) == nil) }
    for peer in ["192.0.2.8", "2001:db8::1", "", "nonsense"] { #expect(policy.refusal(ofPeer: peer) != nil) }
  }
}
