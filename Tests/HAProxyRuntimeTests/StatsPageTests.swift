import HAProxyRuntime
import SmartStack
import TestSupport
import Testing

/// HAProxy's stats page, as PaaSTA reads it (`Tests/Golden/paasta_replication.json`).
@Suite struct StatsPageTests {
  private static let golden = (try? goldenFile("paasta_replication.json")).flatMap { JSONValue($0) }

  private static var page: StatsPage? {
    golden?["csv"]?.string.flatMap { StatsPage(Array($0.utf8)) }
  }

  @Test func serversOfABackendAreAsRecorded() throws {
    let recorded = try #require(Self.golden?["get_backends"]?.array)
    let servers = try #require(Self.page).servers(of: "svc.main")
    #expect(servers.map(\.name) == recorded.map { $0["svname"]?.string })
    #expect(servers.map(\.status) == recorded.map { $0["status"]?.string })
    #expect(servers.map(\.lastChange) == recorded.map { $0["lastchg"]?.string.flatMap { Int($0) } })
    let checks = recorded.map { row in
      let (status, code) = (row["check_status"]?.string ?? "", row["check_code"]?.string ?? "")
      return "\(status)/\(code) in \(row["check_duration"]?.string ?? "")ms"
    }
    #expect(servers.map(\.lastCheck) == checks)
  }

  @Test func onlyServersThatAreUpCountAsUp() throws {
    let recorded = try #require(Self.golden?["backend_is_up"]?.object)
    for server in try #require(Self.page).servers(of: "svc.main") {
      #expect(recorded["\(server.name) \(server.status)"]?.bool == server.isUp, "\(server.name)")
    }
    #expect(recorded.count == 6)
  }

  @Test func serversUpAreCountedPerBackend() throws {
    let page = try #require(Self.page)
    let recorded = try #require(Self.golden?["replication"]?.object)
    for (name, count) in recorded.members {
      #expect(page.servers(of: name).count(where: \.isUp) == count.int)
      #expect(page.proxies.contains(name))
    }
    #expect(page.proxies.count == recorded.count)
  }

  /// PaaSTA fails on names without a host and on IPv6, and cuts hosts' names at the first underscore.
  private static let betterThanRecorded: [String: [String]] = [
    "10.1.1.1:5": ["10.1.1.1", "5", ""], "i-0abc_[::1]:5": ["::1", "5", "i-0abc"],
    "host_with_underscore_10.1.1.1:5": ["10.1.1.1", "5", "host_with_underscore"],
  ]

  @Test func placesAreReadFromRecordedNames() throws {
    let recorded = try #require(Self.golden?["ip_port_hostname_from_svname"]?.object)
    for (name, value) in recorded.members {
      let wanted = Self.betterThanRecorded[name] ?? value.array?.map { $0.string ?? $0.text() }
      let place = ServerPlace(name)
      #expect(place.map { [$0.host, "\($0.port)", $0.name] } == wanted, "\(name)")
    }
  }

  @Test(arguments: [
    ("::1:80", "::1", 80), ("name_fe80::1:80", "fe80::1", 80), ("a_b.example:1", "b.example", 1),
    ("10.0.0.1:31_old_name", "10.0.0.1", 31),
  ])
  func placesAreReadFromFurtherNames(_ name: String, host: String, port: Int) {
    #expect(ServerPlace(name).map { "\($0.host) \($0.port)" } == "\(host) \(port)")
  }

  @Test(arguments: ["", "_", ":", ":80", "a:", "a:0", "a:65536", "a:-1", "a_b", "FRONTEND", "[]:80"])
  func namesWithoutAnAddressHaveNoPlace(_ name: String) { #expect(ServerPlace(name) == nil) }

  @Test func quotedFieldsAndShortLinesAreRead() throws {
    let text = "# pxname,svname,status,desc\r\n\r\n\"a,b\",\"s\"\"1\",UP,\"two\nlines\"\r\nshort\nc,s2,DOWN"
    let page = try #require(StatsPage(Array(text.utf8)))
    #expect(page.servers.map { [$0.proxy, $0.name, $0.status] } == [["a,b", "s\"1", "UP"], ["c", "s2", "DOWN"]])
  }

  @Test(arguments: ["", "\n", "<html>", "# pxname,svname\na,b\n", "pxname"]) func otherTextIsNoPage(_ text: String) {
    #expect(StatsPage(Array(text.utf8)) == nil)
  }

  @Test func mutatedPagesNeverTellAServerOfAnUnknownProxy() throws {
    var random = SeededGenerator(seed: ReplyTests.seed)
    let bytes = Array((Self.golden?["csv"]?.string ?? "").utf8)
    for round in 0..<min(ReplyTests.rounds, 500) {
      var mutated = bytes
      for _ in 0..<Int.random(in: 1...20, using: &random) {
        let place = Int.random(in: 0..<mutated.count, using: &random)
        mutated[place] = [34, 44, 10, 13, 0, 255].randomElement(using: &random) ?? 0
      }
      guard let page = StatsPage(mutated) else { continue }
      #expect(
        page.servers.allSatisfy { page.proxies.contains($0.proxy) }, "seed \(ReplyTests.seed), round \(round)")
    }
  }
}
