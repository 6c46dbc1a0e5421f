import Reactor
import SmartStack
import TestSupport
import Testing

@testable import Hacheck

@Suite struct PageTests {
  private static let browser = ["Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"]

  @LoopActor private static func open(networks: [AddressRange]? = nil) throws -> ServiceFixture {
    try ServiceFixture {
      $0.allowsSpoolChanges = true
      ($0.spoolChangeNetworks, $0.allowsOwnSpoolChanges) = (networks ?? [], networks == nil)
    }
  }

  @LoopActor private static func send(_ form: String, to hacheck: ServiceFixture, _ more: [String: String] = [:])
    async throws -> HTTPResponse
  {
    var headers = browser.merging(more) { $1 }
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    let fields = headers.map { HTTPHeader(name: $0.key, value: $0.value) }
    let request = HTTPRequest(
      method: "POST", endpoint: .tcp(host: "127.0.0.1", port: hacheck.port), target: "/", headers: fields,
      body: Array(form.utf8))
    return try await HTTPClient.send(request, deadline: .seconds(300))
  }

  @Test @LoopActor func thereIsAPageForBrowsersOnly() async throws {
    let hacheck = try PageTests.open()
    #expect(try await hacheck.get("/").status == 404)
    #expect(try await hacheck.get("/", ["Accept": "*/*"]).status == 404)
    #expect(try await hacheck.get("/", PageTests.browser, method: "PUT").status == 404)
    let page = try await hacheck.get("/", PageTests.browser)
    #expect(page.status == 200)
    #expect(page.header("Content-Type") == "text/html; charset=UTF-8")
    let policy = try #require(page.header("Content-Security-Policy"))
    for kind in ["style", "script"] {
      // Nothing but the page's own style and script, whatever else strangers get into it.
      let parts = page.text.components(between: "<\(kind)>", and: "</\(kind)>")
      #expect(parts.count == 1)
      let hash = Base64.text(MessageDigest.sha256.hash((parts.first ?? "").utf8))
      #expect(policy.contains("\(kind)-src 'sha256-\(hash)';"))
    }
  }

  @Test @LoopActor func itTellsServicesAndMarks() async throws {
    let hacheck = try PageTests.open()
    let backend = try Backend(status: 500, text: "broken")
    for path in [
      "http/broken/\(backend.port)/s", "tcp/web/\(backend.port)", "http/away/\(ScriptedServer.refusing.port)/",
    ] {
      _ = try await hacheck.get("/\(path)")
    }
    let now = LoopClock.system.unixTime
    try await hacheck.service.down(.service("web"), reason: "upgrade", expiration: now + 7230)
    try await hacheck.service.down(.instance(service: "broken", host: nil, port: 80), reason: "")
    let page = try await hacheck.get("/", PageTests.browser).text
    for piece in [
      "Downtimes <span class=\"count\">2</span>", "Services asked for at hacheck <span class=\"count\">3</span>",
      ">upgrade<",
      "2 h left</time>", "restored by hand", "none given", ">1 instance drained<", ">drained<", ">no answer<",
      ">down</span><p class=\"quiet\"><bdi>500<", "ago</time>",
    ] { #expect(page.contains(piece), "\(piece) is missing") }
    let found = try await hacheck.get("/?q=bro", PageTests.browser).text
    #expect(found.contains("broken:80") && !found.contains("upgrade") && !found.contains(">away<"))
  }

  static let hostile = "<script>alert(1)</script>\"'&\u{1}\u{202e}"

  @Test @LoopActor func nothingThatStrangersWroteIsMarkup() async throws {
    let hacheck = try PageTests.open()
    try await hacheck.service.down(.service("web"), reason: PageTests.hostile)
    hacheck.write(PageTests.hostile, mark: "<b>bold<b>")
    try await eventually("the file is seen") { hacheck.service.downtime(for: "<b>bold<b>", port: nil) != nil }
    let page = try await hacheck.get("/?q=%22%3E%3Cscript%3E", PageTests.browser).text
    #expect(page.contains("value=\"&quot;&gt;&lt;script&gt;\""))
    let all = try await hacheck.get("/", PageTests.browser).text
    for text in [page, all] { #expect(text.split(separator: "<script").count == 2 && !text.contains("<b>bold")) }
    #expect(all.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;\u{fffd}"))
    #expect(all.contains("value=\"&lt;b&gt;bold&lt;b&gt;\""))
  }

  @Test @LoopActor func itsFormsMarkAndRestore() async throws {
    let hacheck = try PageTests.open()
    let before = LoopClock.system.unixTime
    let down = try await PageTests.send("mark=web.main%3A31001&reason=disk+full&duration=600&status=down", to: hacheck)
    #expect(down.status == 303)
    #expect(down.header("Location") == "/")
    let mark = try #require(hacheck.service.downtime(for: "web.main", port: 31001))
    #expect(mark.reason == "disk full")
    let end = try #require(mark.expiration)
    #expect(end >= before + 600 && end <= LoopClock.system.unixTime + 600)
    #expect(try await hacheck.get("/spool/web.main/31001/s").status == 503)
    #expect(try await PageTests.send("mark=web.main:31001&status=up", to: hacheck).status == 303)
    #expect(hacheck.service.downtime(for: "web.main", port: 31001) == nil)
    #expect(try await PageTests.send("mark=all&reason=x&duration=&status=down", to: hacheck).status == 303)
    #expect(hacheck.service.downtime(for: "web", port: nil)?.expiration == nil)
  }

  @Test(arguments: [
    ("", "which service?"), ("mark=web", "status must be"), ("mark=web&status=down", "a reason is needed"),
    ("mark=web&status=down&reason=", "a reason is needed"), ("mark=..&status=down&reason=x", "cannot have a downtime"),
    ("mark=a/b&status=up", "cannot have a downtime"), ("mark=a+b&status=down&reason=x", "not a service name"),
    ("mark=web:99999&status=down&reason=x", "is not a downtime"),
    ("mark=web:x:80&status=down&reason=x", "is not a downtime"),
    ("mark=web:0&status=down&reason=x", "is not a downtime"),
    ("mark=web&status=down&reason=x&duration=-1", "`duration` is"),
    ("mark=web&status=down&reason=x&duration=1e99", "`duration` is"), ("mark=%ff&status=up", "is not UTF-8"),
  ]) @LoopActor func badFormsAreRefusedWithASentence(_ form: String, _ sentence: String) async throws {
    let hacheck = try PageTests.open()
    let answer = try await PageTests.send(form, to: hacheck)
    #expect(answer.status == 400)
    #expect(answer.text.contains("class=\"notice bad\"") && answer.text.contains(sentence.htmlEscaped))
    #expect(try await hacheck.get("/metrics").text.contains("hacheck_downtimes{scope=\"service\"} 0"))
  }

  @Test @LoopActor func whoMayNotChangeSeesNoButtons() async throws {
    let elsewhere = try PageTests.open(networks: AddressRange("10.0.0.0/8").map { [$0] })
    let closed = try ServiceFixture()
    for hacheck in [elsewhere, closed] {
      try await hacheck.service.down(.service("web"), reason: "x")
      _ = try await hacheck.get("/spool/other/1/s")
      let page = try await hacheck.get("/", PageTests.browser).text
      #expect(!page.contains("method=\"post\""))
      let answer = try await PageTests.send("mark=web&status=up", to: hacheck)
      #expect(answer.status == 403)
      #expect(hacheck.service.downtime(for: "web", port: nil) != nil)
    }
    #expect(try await PageTests.open().get("/", PageTests.browser).text.contains("method=\"post\""))
  }

  @Test @LoopActor func longListsAreCut() async throws {
    let hacheck = try PageTests.open()
    for number in 0..<250 { hacheck.write("x", mark: "svc-\(1000 + number)") }
    hacheck.write("x", mark: "all")
    try await eventually("all are seen") {
      try await hacheck.get("/", PageTests.browser).text.contains("Downtimes <span class=\"count\">251</span>")
    }
    let page = try await hacheck.get("/", PageTests.browser).text
    #expect(page.contains("200 of 251 are shown"))
    #expect(page.contains(">svc-1198<") && !page.contains(">svc-1199<") && page.contains("<em>every service</em>"))
  }

  @Test(arguments: 0..<20) func theSmallestAreThoseThatSortingFinds(_ seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let numbers = (0..<Int.random(in: 0..<60, using: &random)).map { _ in Int.random(in: 0..<30, using: &random) }
    for count in [1, 5, 60] { #expect(numbers.smallest(count, by: <) == Array(numbers.sorted().prefix(count))) }
  }

  @Test(arguments: [
    (-5, "0 s"), (0.9, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min"), (3600, "1 h"), (12_000, "3 h 20 min"),
    (86_400, "1 d"), (439_200, "5 d 2 h"), (.infinity, "46296 d 7 h"), (.nan, "0 s"),
  ]) func timesAreTold(_ seconds: Double, _ words: String) { #expect(seconds.lengthInWords == words) }

  @Test func datesAreTold() {
    #expect(1_795_239_527.0.dateInWords == "2026-11-21 05:38:47 UTC")
    #expect(Double.infinity.dateInWords == nil && Double.nan.dateInWords == nil)
  }
}

extension String {
  /// The texts between each `start` and the next `end`.
  fileprivate func components(between start: String, and end: String) -> [String] {
    var (texts, rest): ([String], Substring) = ([], self[...])
    while let from = rest.firstRange(of: start), let to = rest[from.upperBound...].firstRange(of: end) {
      texts.append(String(rest[from.upperBound..<to.lowerBound]))
      rest = rest[to.upperBound...]
    }
    return texts
  }
}
