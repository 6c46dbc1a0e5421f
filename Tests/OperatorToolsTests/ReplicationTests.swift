import Configure
import HAProxyRuntime
import Reactor
import SmartStack
import SynapseAgent
import TestSupport
import Testing
import ZooKeeper

@testable import OperatorTools
@testable import Registry

/// `smartstack-status` against what PaaSTA printed (`Tests/Golden/paasta_replication.json`), and tables of our own.
@Suite("replication") struct ReplicationTests {
  private static let golden = (try? goldenFile("paasta_replication.json")).flatMap { JSONValue($0) }

  private static func recorded(_ name: String) -> [JSONValue] { golden?[name]?.array ?? [] }

  @Test func whatIsTooFew() {
    let cases = Self.recorded("is_under_replicated")
    #expect(cases.count == 12)
    for one in cases {
      let replication = Replication(available: one["available"]?.int ?? -1, expected: one["expected"]?.int ?? -1)
      let threshold = one["threshold"]?.int ?? one["threshold"]?.string.flatMap { Int($0) } ?? -1
      let result = one["result"]?.array ?? []
      #expect(replication.isUnder(threshold) == result[0].bool, "\(one)")
      #expect(replication.percent == result[1].double, "\(one)")
    }
  }

  @Test func theReportsLine() {
    let cases = Self.recorded("haproxy_backend_report")
    #expect(cases.count == 9)
    for one in cases {
      let replication = Replication(available: one["up"]?.int ?? -1, expected: one["expected"]?.int ?? -1)
      let report = LocationReport(
        location: "habitatA", haproxy: "h", replication: replication,
        verdict: replication.verdict(critical: 50, warning: nil))
      #expect(report.line() == "habitatA - " + (one["text"]?.string ?? ""))
      #expect(report.line(inColor: true) == "habitatA - " + (one["ansi"]?.string ?? ""))
    }
  }

  @Test func theFleetIsOnePage() throws {
    let page = try #require(
      StatsPage(
        Array(
          """
          # pxname,svname,status,lastchg,check_status,check_code,check_duration
          web.main,a_10.0.0.1:1,UP,5,L7OK,200,2
          web.main,b_10.0.0.2:1,MAINT,5,,,
          web.main,<c>_10.0.0.3:1,DOWN,5,,,
          web.main,BACKEND,UP,5,,,

          """.utf8)))
    var findings = ReplicationFindings(name: "web.main", level: "habitat")
    findings.remote["west"] = ("h", page)
    findings.registered = []
    let text = [findings.report()].page(failures: ["<none>"], now: 0)
    for piece in ["web.main", ">1/0<", "1 in maintenance", "1 preserved", "10.0.0.2", "&lt;none&gt;", "&lt;c&gt;"] {
      #expect(text.contains(piece), "\(piece)")
    }
    #expect(!text.contains("<c>") && !text.contains("src=") && !text.contains("href="))
  }

  @Test func theReportOfLocations() throws {
    let page = try #require(StatsPage(Array((Self.golden?["csv"]?.string ?? "").utf8)))
    let cases = Self.recorded("pretty_print_smartstack_backends_for_locations")
    #expect(cases.count == 4)
    for one in cases {
      var findings = ReplicationFindings(name: "svc.main", level: "habitat")
      for location in one["locations"]?.object?.keys ?? [] {
        findings.remote[location] = (location, page)
      }
      findings.expected = one["expected_count"]?.int
      let lines = findings.report().lines(isVerbose: false, inColor: false).dropFirst()
      // PaaSTA puts the head of its table of servers before the locations.
      let wanted = (one["lines"]?.strings ?? []).filter { !$0.hasPrefix("      ") }
      #expect(Array(lines) == wanted, "\(one["case"]?.string ?? "")")
    }
  }

  /// PaaSTA's table writes `ADDRESS:PORT:HOST` and rounds times; ours has HAProxy's own names and seconds.
  @Test func theTableOfServers() throws {
    let page = try #require(StatsPage(Array((Self.golden?["csv"]?.string ?? "").utf8)))
    var findings = ReplicationFindings(name: "svc.main", level: "habitat")
    findings.remote["habitatA"] = ("h", page)
    findings.expected = 3
    findings.registered = [Backend(name: "host9", host: "10.1.1.9", port: 1, labels: ["habitat:habitatA": ""])]
    #expect(
      findings.report().lines(isVerbose: true, inColor: false) == [
        "svc.main, by habitat:",
        "    habitatA - Healthy - in haproxy with (3/3) total backends UP in this namespace.",
        "      Name                  LastCheck           LastChange  Status",
        "      host1_10.1.1.1:31062  L7OK/200 in 2ms     100 s ago   UP",
        "      host2_10.1.1.2:31063  L7OK/200 in 2ms     100 s ago   UP 1/2",
        "      10.1.1.3:31064_host3  L4TOUT/ in 10000ms  100 s ago   DOWN",
        "      host4_10.1.1.4:31065  L7OK/200 in 2ms     100 s ago   MAINT",
        "      host5_10.1.1.5:31066  L7OK/200 in 2ms     100 s ago   UP (via x/y)",
        "      host6_10.1.1.6:31067  L7OK/200 in 2ms     100 s ago   no check",
        "      host9_10.1.1.9:1                                      not in haproxy",
      ])
  }

  @Test func theAlert() throws {
    let cases = Self.recorded("check_smartstack_replication_for_instance")
    #expect(cases.count == 6)
    for one in cases {
      var findings = ReplicationFindings(name: "svc.main", level: "region")
      for (location, counts) in one["replication"]?.object?.members ?? [] {
        let page = try #require(Self.page("svc.main", up: counts["svc.main"]?.int ?? 0))
        findings.remote[location] = (location, page)
      }
      findings.expected = one["expected_count"]?.int
      findings.thresholds.critical = one["threshold"]?.int ?? 50
      let report = findings.report()
      let name = one["case"]?.string ?? ""
      #expect(report.verdict == (one["status"]?.string == "OK(0)" ? .healthy : .critical), "\(name)")
      // The advice behind the lines is our own.
      let output = one["output"]?.string ?? ""
      let lines = output.split(separator: "\n\n\nWhat this alert means", maxSplits: 1)[0].split(separator: "! ")[0]
      let facts = lines.split(separator: ". Make sure", maxSplits: 1)[0]
      #expect(report.alert.hasPrefix(facts), "\(name): \(report.alert)")
      if report.verdict == .healthy { #expect(report.alert == output, "\(name)") }
    }
  }

  private static func page(_ proxy: String, up: Int, down: Int = 0, names: String = "h") -> StatsPage? {
    var lines = ["# pxname,svname,status,", "\(proxy),BACKEND,UP,"]
    for number in 0..<(up + down) {
      lines.append("\(proxy),\(names)\(number)_10.0.0.\(number):80,\(number < up ? "UP" : "DOWN"),")
    }
    return StatsPage(Array(lines.joined(separator: "\n").utf8))
  }

  // MARK: Ours

  private static func servers(_ names: String, _ count: Int, _ labels: Labels?) -> [Backend] {
    (0..<count).map { Backend(name: "\(names)\($0)", host: "10.0.0.\($0)", port: 80, labels: labels) }
  }

  private static var findings: ReplicationFindings {
    var findings = ReplicationFindings(
      name: "web.main", level: "habitat", types: ["region", "habitat"])
    findings.own = "a"
    findings.registered =
      servers("a", 2, ["habitat:a": "", "region:r": ""]) + servers("b", 2, ["habitat:b": "", "region:r": ""])
    return findings
  }

  private static func report(_ change: (inout ReplicationFindings) -> Void) -> [String] {
    var findings = findings
    change(&findings)
    return findings.report().lines(isVerbose: false, inColor: false).dropFirst().map {
      $0.replacing(" total backends UP in this namespace.", with: "")
    }
  }

  private static func local(_ text: String) -> (place: String, page: StatsPage)? {
    let lines = text.split(separator: " ").map { "\($0.replacing("/", with: ","))," }
    return StatsPage(Array((["# pxname,svname,status,"] + lines).joined(separator: "\n").utf8)).map {
      ("here", $0)
    }
  }

  @Test func withoutAHAProxyTheRegistryTells() {
    #expect(
      Self.report { _ in } == [
        "    a - Healthy - in registry with (2/2)", "    b - Healthy - in registry with (2/2)",
      ])
  }

  @Test func thisHostsHAProxyTellsOfItsOwnPlaceAndOfWiderLevels() {
    let page = Self.local(
      "web.main/a0_10.0.0.0:80/UP web.main/a1_10.0.0.1:80/DOWN web.main.region/b0_10.0.0.0:80/UP"
        + " web.main.region/a0_10.0.0.0:80/UP other/b1_10.0.0.1:80/UP")
    #expect(
      Self.report { $0.local = page } == [
        "    a - Healthy - in haproxy with (1/2)", "    b - Healthy - in haproxy with (1/2)",
      ])
    #expect(
      Self.report {
        $0.local = page
        $0.thresholds = (51, 100)
        $0.registered?.removeLast()
      } == ["    a - Critical - in haproxy with (1/2, 50%)", "    b - Healthy - in haproxy with (1/1)"])
    #expect(
      Self.report {
        $0.local = page
        $0.thresholds.warning = 90
      }[0] == "    a - Warning - in haproxy with (1/2, 50%)")
  }

  @Test func aPlaceThatHAProxyDoesNotSeeIsTheRegistrys() {
    let page = Self.local("web.main/a0_10.0.0.0:80/UP web.main/a1_10.0.0.1:80/UP")
    #expect(
      Self.report { $0.local = page } == [
        "    a - Healthy - in haproxy with (2/2)", "    b - Healthy - in registry with (2/2)",
      ])
  }

  @Test func nothingInHAProxyThoughRegisteredHere() {
    #expect(
      Self.report { $0.local = Self.local("web.main/FRONTEND/OPEN") }[0]
        == "    a - Critical - in haproxy with (0/2, 0%)")
  }

  @Test func aPlaceThatMustHaveIt() {
    #expect(Self.report { $0.wanted = ["c", "a"] }.last == "    c - Critical - in registry with (0/1, 0%)")
    #expect(
      Self.report {
        $0.wanted = ["c"]
        $0.expected = 7
      }.last == "    c - Critical - in registry with (0/2, 0%)")
  }

  @Test func ofASilentHAProxysPlaceNothingIsSaid() {
    let page = Self.local("web.main/b0_10.0.0.0:80/UP web.main/b1_10.0.0.1:80/UP")
    #expect(
      Self.report {
        $0.remote["b"] = page
        $0.silent = ["a"]
        $0.expected = 4
      } == ["    b - Healthy - in haproxy with (2/2)"])
    #expect(
      Self.report {
        $0.remote["b"] = page
        $0.isLocalSilent = true
      } == ["    b - Healthy - in haproxy with (2/2)"])
  }

  @Test func unfilteredDiscoveryHasNoFilterInAnyPart() throws {
    let filter = LabelFilter(label: "x", value: "", condition: .equals)
    let parts = [
      NamedDiscovery(
        name: "one",
        discovery: Discovery(
          ZooKeeperDiscovery(ensemble: try ServerList(["127.0.0.1:1"]), path: "/a"), labelFilters: [filter])),
      NamedDiscovery(name: "two", discovery: Discovery(BaseDiscovery(), labelFilters: [filter])),
    ]
    let plain = Discovery(MultiDiscovery(parts: parts, resolver: .union), labelFilters: [filter]).unfiltered
    let multi = try #require(plain.settings as? MultiDiscovery)
    #expect(multi.parts.map(\.name) == ["one", "two"])
    #expect(plain.labelFilters.isEmpty && multi.parts.allSatisfy { $0.discovery.labelFilters.isEmpty })
  }

  /// What no registry was asked for is judged by HAProxy alone: its clients get 503.
  @Test func aBackendWithoutServersIsCritical() throws {
    var findings = Self.findings
    findings.registered = nil
    findings.remote["c"] = ("c:3212", try #require(Self.page("web.main", up: 0)))
    #expect(findings.report().verdict == .critical)
    #expect(
      findings.report().alert.hasPrefix("- Service web.main has 0 out of 1 expected instances in c (CRITICAL: 0%)"))
  }

  @Test func nowhere() {
    var findings = Self.findings
    findings.registered = []
    let report = findings.report()
    #expect(report.verdict == .critical && report.locations.isEmpty)
    #expect(
      report.alert.hasPrefix(
        "Service web.main has no Smartstack replication info: nothing is registered"))
    // With a number expected this host's own place counts, as each of PaaSTA's does.
    #expect(
      Self.report {
        $0.registered = []
        $0.expected = 2
        $0.local = Self.local("web.main/FRONTEND/OPEN")
      } == ["    a - Critical - in haproxy with (0/2, 0%)"])
  }

  @Test func registrationsThatNobodyDiscovers() {
    let notes = Self.report { $0.registered? += Self.servers("x", 1, ["region:r": ""]) + Self.servers("y", 1, nil) }
    #expect(
      notes.last
        == "    note: 2 registered without a habitat, so that no client discovers them: x0_10.0.0.0:80, y0_10.0.0.0:80")
    #expect(Self.report { $0.registered? += Self.servers("x", 1, ["habitat:z": "no"]) }.count == 3)
  }

  @Test func json() {
    var findings = Self.findings
    findings.registered = Self.servers("a", 2, ["habitat:a": ""])
    findings.local = Self.local("web.main/a0_10.0.0.0:80/UP")
    #expect(
      findings.report().json.text() == #"""
        {"service": "web.main", "level": "habitat", "status": "Healthy", "locations": [{"location": "a", "status": "Healthy", "source": "haproxy", "up": 1, "expected": 2, "percent": 50, "registered": 2, "haproxy": "here", "servers": [{"name": "a0_10.0.0.0:80", "status": "UP", "last_check": "", "last_change_s": null}], "preserved": 0, "missing": ["a1_10.0.0.1:80"]}], "notes": []}
        """#)
  }

  @Test(arguments: [
    ("10.0.0.1", "nil 10.0.0.1:3212"), ("a=10.0.0.1:99", "a 10.0.0.1:99"), ("x=[::1]:9", "x [::1]:9"),
    ("host", "nil host:3212"),
  ])
  func proxies(_ text: String, _ expected: String) {
    let proxy = ReplicationPlaces.Proxy(text)
    #expect(proxy.map { "\($0.location ?? "nil") \($0.endpoint)" } == expected)
  }

  @Test(arguments: ["", "=", "a=", "=h", "h:", "h:x", "h:0", "a=h:70000"]) func whatIsNoProxy(_ text: String) {
    #expect(ReplicationPlaces.Proxy(text) == nil)
  }
}
