import AgentKit
import SmartStack
import SynapseAgent
import Testing

@testable import OperatorTools

@Suite struct StatusTests {
  private static let nerve: JSONValue = [
    "agent": "nerve", "version": "1.2", "pid": 7, "time": 100, "connected": false, "hacheck": true,
    "rejected": ["since": 0, "reason": "n.json:3:1: broken"],
    "skipped": [["name": "d", "reason": "n.json:9:2: no port", "runs": false]],
    "services": [
      [
        "name": "a", "ok": true, "condition": "up", "since": 40, "place": "/p/a_1", "host": "10.0.0.1", "port": 80,
        "checks": [],
      ],
      [
        "name": "b", "ok": false, "condition": "drained", "since": 90, "registration": "reported down",
        "downtime": ["scope": "b", "by": "alice", "until": .null, "reason": "upgrade"],
        "checks": [["name": "http-b", "detail": "HTTP 200", "elapsed": .number("0.0021")]],
      ],
      ["name": "c", "ok": false, "condition": "pending", "registration": "nothing reported", "checks": []],
    ],
  ]

  @Test func nervesProblemsComeFirst() {
    let expected = """
      nerve 1.2, pid 7: 1 of 4 services up, 1 drained, 1 pending, 1 skipped; registry not connected
      configuration rejected since 1970-01-01 00:00:00 UTC: n.json:3:1: broken; the previous one is active
      service d is skipped: n.json:9:2: no port
      SERVICE  STATE    SINCE  DETAIL
      c        pending  -      nothing reported
      b        drained  10s    no end by alice: upgrade (b)
      a        up       1m0s   /p/a_1
      """
    #expect(NerveStatus.lines(StatusTests.nerve, in: StatusStyle()).joined(separator: "\n") == expected)
    // What is up still counts where it is not shown.
    var style = StatusStyle()
    style.hidesUp = true
    let shown = expected.split(separator: "\n").dropLast().map(String.init)
    #expect(NerveStatus.lines(StatusTests.nerve, in: style) == shown)
  }

  @Test func synapsesProblemsComeFirst() {
    func server(_ name: String, status: String, from: String = "registry") -> JSONValue {
      ["name": .string(name), "status": .string(status), "up": .bool(status == "UP"), "from": .string(from), "age": 3]
    }
    let report: JSONValue = [
      "agent": "synapse", "version": "1.2", "pid": 7, "time": 100, "rejected": .null,
      "skipped": [["name": "x", "reason": "s.json:9:2: no port", "runs": true]],
      "haproxy": [
        "sockets": [["path": "/run/h.sock", "pid": 9, "in_sync": true]], "problems": ["web: a line"],
        "reloads": [["time": 90, "reason": "x", "failure": "no file"]],
      ],
      "services": [
        [
          "name": "web", "ok": true, "state": "up", "port": "80", "has_data": true, "changed": 98,
          "discovery": "zk /web",
          "servers": [
            server("s1", status: "UP"), server("s2", status: "MAINT", from: "left"), server("s3", status: "UP"),
          ],
        ],
        [
          "name": "old", "ok": true, "state": "up", "port": "81", "has_data": true, "preserved": true, "changed": 40,
          "discovery": "zk /old", "servers": [server("s1", status: "UP", from: "preserved")],
        ],
        [
          "name": "none", "ok": false, "state": "empty", "port": .null, "has_data": true, "discovery": "zk /n",
          "servers": [],
        ],
      ],
    ]
    let expected = """
      synapse 1.2, pid 7: 2 of 3 services up, 1 preserved, 1 skipped; HAProxy in sync
      service x runs as before: s.json:9:2: no port
      problem: web: a line
      the last reload, 10s ago, failed: no file
      SERVICE  STATE  PORT  SERVERS        CHANGED  FROM
      none     empty  -     none           -        zk /n
      old      up     81    1 up           1m0s     preserved: few or none are registered at zk /old
      web      up     80    2 up, 1 maint  2s       zk /web
      """
    #expect(SynapseStatus.lines(report, in: StatusStyle()).joined(separator: "\n") == expected)
    var wide = StatusStyle()
    wide.isWide = true
    #expect(SynapseStatus.lines(report, in: wide).contains { $0.hasPrefix("s2      MAINT") && $0.hasSuffix("left") })
  }

  @Test(arguments: [0, 3, 60, 800]) func noLineIsWiderThanTheTerminal(_ count: Int) {
    let name = String(repeating: "long-service-name.", count: 7)
    let services = (0..<count).map { index -> JSONValue in
      [
        "name": .string("\(name.prefix(index % 2 == 0 ? 12 : 120))\(index)"), "ok": .bool(index % 3 > 0),
        "state": index % 3 > 0 ? "up" : "down", "condition": index % 3 > 0 ? "up" : "down", "since": 4,
        "place": .string("/smartstack/global/\(name)"),
        "discovery": .string("zookeeper zk1:2181,zk2:2181 /smartstack/global/\(name)"), "port": "20001",
        "checks": [["name": .string("http-\(name)"), "detail": "no answer in time", "elapsed": 2]], "host": "10.0.0.1",
        "servers": [["name": .string("host_\(name)"), "status": "UP", "up": true, "check": "L7OK/200 in 2ms"]],
      ]
    }
    let report: JSONValue = [
      "agent": "nerve", "version": "1.0.0", "pid": 12345, "time": 100, "connected": true, "services": .array(services),
      "skipped": [
        ["name": .string(name), "reason": .string(String(repeating: "word ", count: 40) + name + name), "runs": false]
      ],
      "haproxy": ["problems": [.string(name + name)], "sockets": []],
    ]
    var style = StatusStyle()
    style.width = 80
    for isWide in [false, true] {
      style.isWide = isWide
      for lines in [NerveStatus.lines(report, in: style), SynapseStatus.lines(report, in: style)] {
        #expect(lines.count > count)
        #expect(lines.allSatisfy { $0.count <= 80 }, "\(lines.filter { $0.count > 80 }.prefix(3))")
        // The ends of names, which tell them apart, are there.
        if count == 3 { #expect(lines.contains { $0.contains("long-") && $0.contains("…") && $0.contains("1 ") }) }
      }
    }
  }

  @Test func statesAreColouredOnlyWhereThatIsWanted() {
    var style = StatusStyle()
    #expect(!NerveStatus.lines(StatusTests.nerve, in: style).joined().contains("\u{1b}"))
    style.isColored = true
    let lines = NerveStatus.lines(StatusTests.nerve, in: style)
    #expect(lines.contains { $0.hasPrefix("a        \u{1b}[32mup\u{1b}[0m       1m0s") })
    #expect(lines.contains { $0.hasPrefix("b        \u{1b}[33mdrained\u{1b}[0m  10s") })
  }

  @Test(arguments: [
    ("web", "web", true), ("web.main", "web", true), ("web:8001", "web", true), ("website", "web", false),
    ("website", "web*", true), ("web.main", "*.main", true), ("web", "w?b", true), ("api", "w?b", false),
  ])
  func servicesAreChosenByNameOrPattern(_ name: String, word: String, isChosen: Bool) {
    #expect(StatusView.fits(name, word: word) == isChosen)
  }

  @Test(arguments: [(0.0, "0s"), (59.9, "59s"), (61, "1m1s"), (3600, "1h0m"), (90_061, "1d1h"), (-5, "0s")])
  func agesAreShort(_ seconds: Double, _ text: String) { #expect(seconds.shortAge == text) }

  @Test func nounsAgreeWithTheirNumbers() {
    #expect([0, 1, 2].map { $0.counted("service") } == ["0 services", "1 service", "2 services"])
  }
}
