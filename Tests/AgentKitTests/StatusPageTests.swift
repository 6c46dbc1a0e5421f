import SmartStack
import Testing

@testable import AgentKit

@Suite struct StatusPageTests {
  private static let hostile = "<script>alert(1)</script>\u{202e}"

  private static func service(_ name: String, port: Int, condition: String, since: Int = 1) -> JSONValue {
    [
      "name": .string(name), "host": "10.0.0.1", "port": .int(port), "condition": .string(condition),
      "since": .int(since), "checks": [["name": "http", "detail": .string(hostile), "elapsed": .number("0.002")]],
      "drain": .string("\(name):\(port)"),
    ]
  }

  private static let nerve: JSONValue = [
    "agent": "nerve", "version": "1.2", "pid": 7, "time": 100, "connected": true, "page": "127.0.0.1:3211",
    "services": [
      service("web.main.west:10.0.0.1.31001.v2.new", port: 31001, condition: "up", since: 9),
      service("web.main.west:10.0.0.1.31002.v2.new", port: 31002, condition: "down"),
      service("alone", port: 31003, condition: "drained"),
    ],
    "skipped": [["name": "bad", "reason": "n.json:9:2: no port", "runs": false]],
  ]

  private static let synapse: JSONValue = [
    "agent": "synapse", "version": "1.2", "pid": 8, "time": 100, "haproxy": .null, "page": "127.0.0.1:3213",
    "services": [
      [
        "name": "web.main", "ok": true, "state": "up", "port": "20001", "has_data": true,
        "traffic": ["sessions": 3, "total": 70, "rate": 2, "queued": 0, "errors": 1, "responses_5xx": 4],
        "servers": [["name": "s1", "host": "10.0.0.1", "port": 31001, "status": "UP", "from": "registry"]],
      ],
      ["name": "far.main", "ok": false, "state": "empty", "port": "20002", "has_data": true, "servers": []],
    ],
  ]

  private static var rows: [StatusRow] { StatusRow.all(nerve: nerve, synapse: synapse) }

  @Test func instancesStandBesideTheirService() {
    let rows = Self.rows
    #expect(rows.map { $0.synapse?["name"]?.string } == ["web.main", "web.main", nil, "far.main", nil])
    // By its address; the one that is down has no server, and is found by its name.
    #expect(rows.map { $0.server?["name"]?.string } == ["s1", nil, nil, nil, nil])
    #expect(rows.map(\.listsServers) == [true, false, true, true, true])
  }

  @Test func whatIsWrongComesFirst() {
    let names = [
      "web.main.west:10.0.0.1.31002.v2.new", "bad", "far.main", "alone", "web.main.west:10.0.0.1.31001.v2.new",
    ]
    #expect(Self.rows.sorted(by: "state").map(\.name) == names)
    #expect(Self.rows.sorted(by: "name").map(\.name) == names.sorted())
    #expect(Self.rows.sorted(by: "since").first?.name == "web.main.west:10.0.0.1.31001.v2.new")
  }

  @Test(arguments: [
    ("/", 5), ("/?q=web", 2), ("/?q=31002", 1), ("/?state=wrong", 4), ("/?state=drained", 1), ("/?state=up", 1),
    ("/?state=skipped&q=ba", 1), ("/?q=nothing", 0), ("/?state=nonsense&sort=nonsense&drain", 5), ("/?q=%ff", 5),
  ]) func theAddressFilters(_ target: String, _ count: Int) {
    let page = StatusPage(query: StatusPage.Query(target), reports: [Self.nerve, Self.synapse]).render()
    #expect(page.contains(">\(count) of 5</span>"))
    #expect(page.split(separator: "<th scope=\"row\"").count - 1 == count)
  }

  @Test func strangersWriteNoMarkup() {
    let report: JSONValue = [
      "agent": "hacheck", "time": 100, "asked": [], "downtime_count": 1,
      "downtimes": [["scope": .string(Self.hostile), "reason": .string(Self.hostile), "by": .string(Self.hostile)]],
      "events": [["time": 1, "level": .string(Self.hostile), "message": .string(Self.hostile), "details": "x"]],
    ]
    let query = StatusPage.Query("/?q=&drain=%22%3E%3Cscript%3E")
    let page = StatusPage(
      query: query, reports: [Self.nerve, Self.synapse, report], mayChange: true, problem: Self.hostile
    ).render()
    #expect(page.split(separator: "<script").count == 2 && !page.contains("\u{202e}"))
    #expect(page.contains("<dialog id=\"drain\" aria-labelledby=\"drain-title\" open>"))
    #expect(page.contains("synapse at 127.0.0.1:3213") && page.contains("5 errors, 4 of them 5xx"))
  }
}
