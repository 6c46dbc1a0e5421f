import Glibc
import Hacheck
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import OperatorTools

@Suite struct DowntimeCommandTests {
  /// The file `name` of the spool, before and after a command.
  struct Case: Sendable, CustomTestStringConvertible {
    let line: String
    var before: [String: String] = [:]
    var environment: [String: String] = [:]
    var code: Int32 = 0
    var output = ""
    var error = ""
    /// Names left in the spool; nil when they are those from before.
    var after: [String]?
    var testDescription: String { line }
  }

  static let x = #"{"reason": "x", "expiration": null, "creation": 1000.5}"#
  static let maint = #"{"reason": "maint", "expiration": 4102444800.0, "creation": 1000.5}"#
  static let over = #"{"reason": "x", "expiration": 1.0, "creation": 1000.5}"#

  static func usage(_ name: String, _ problem: String) -> String {
    CommandUsage.complaint(problem, of: name)
  }

  static let cases = [
    Case(line: "hadown -r x svc.main", after: ["svc.main"]),
    Case(line: "hadown -r x svc.a svc.b", after: ["svc.a", "svc.b"]),
    Case(line: "hadown -rx -P8080 -H 10.1.2.3 svc.main", after: ["svc.main:10.1.2.3:8080"]),
    Case(line: "hadown -r x -P 8080 -H 127.0.0.1 svc.main", after: ["svc.main:8080"]),
    Case(line: "hadown -r x -P 0 svc.main", after: ["svc.main:0"]),
    Case(line: "hadown -r x svc:8080", after: ["svc:8080"]),
    Case(line: "hadown --rea=x --expiration 4102444800.25 svc.main", after: ["svc.main"]),
    Case(line: "hadown -r x -- -dash", after: ["-dash"]),
    Case(
      line: "hadown -r x -H 10.1.2.3 svc.main", code: 2,
      error: usage("hadown", "Service port required if service host specified for action down")),
    Case(
      line: "hadown -r x -P 0 -H 10.1.2.3 svc.main", code: 2,
      error: usage("hadown", "Service port required if service host specified for action down")),
    Case(
      line: "hadown -r x -e tomorrow svc.main", code: 2,
      error: usage("hadown", "option -e: invalid floating-point value: 'tomorrow'; HH:MM and ISO 8601 are read, too")),
    Case(
      line: "hadown -r x --expiration inf svc.main", code: 2,
      error: usage(
        "hadown", "option --expiration: invalid floating-point value: 'inf'; HH:MM and ISO 8601 are read, too")),
    Case(line: "hadown -r x --for 1h30m svc.main", after: ["svc.main"]),
    Case(line: "hadown -r x -e 23:59 svc.main", after: ["svc.main"]),
    Case(line: "hadown -r x -e 2100-01-01T00:00:00Z svc.main", after: ["svc.main"]),
    Case(
      line: "hadown -r x --for soon svc.main", code: 2,
      error: usage("hadown", "option --for: `soon` is not a length of time: write 90s, 15m, 2h, 1d or 1h30m")),
    Case(line: "hadown -r x --for 1h -e 23:59 svc.main", code: 2, error: usage("hadown", "give one of --for and -e")),
    Case(
      line: "hadown -r x -e 1000 svc.main", code: 1,
      error: "hadown: 1970-01-01 00:16:40 UTC is past: nothing is drained\n"),
    Case(line: "hadown --nope svc.main", code: 2, error: usage("hadown", "no such option: --nope")),
    Case(
      line: "hadown --service svc.main", code: 2,
      error: usage("hadown", "ambiguous option: --service (--service-host, --service-port?)")),
    Case(line: "hadown svc.main -r", code: 2, error: usage("hadown", "-r option requires 1 argument")),
    Case(
      line: "hadown -r x ../evil", code: 2,
      error: usage("hadown", "`../evil` cannot have a downtime: it is not a file name of the spool")),
    Case(
      line: "hadown -r x ..", code: 2,
      error: usage("hadown", "`..` cannot have a downtime: it is not a file name of the spool")
    ),
    Case(line: "haup svc.main", before: ["svc.main": x, "svc.main:8080": x], after: ["svc.main:8080"]),
    Case(line: "haup -P 8080 svc.main", before: ["svc.main": x, "svc.main:8080": x], after: ["svc.main"]),
    Case(line: "haup svc.a svc.b", before: ["svc.a": x, "svc.b": x, "svc.c": x], after: ["svc.c"]),
    Case(line: "haup", code: 2, error: usage("haup", "Expected args for action up")),
    Case(
      line: "haup -a sideways svc.main", code: 2,
      error: usage(
        "haup",
        "option -a: invalid choice: 'sideways' (choose from 'up', 'down', 'status', 'status_downed', 'list')")),
    Case(line: "haup -a status svc.main", before: ["svc.main": x], code: 1, output: "DOWN\tinf\tsvc.main\tx\n"),
    Case(line: "hastatus svc.main", output: "UP\tsvc.main\n"),
    Case(
      line: "hastatus svc.main", before: ["svc.main": maint], code: 1,
      output: "DOWN\t4102444800.000000\tsvc.main\tmaint\n"),
    Case(line: "hastatus svc.main", before: ["svc.main": over], output: "UP\tsvc.main\n", after: []),
    Case(line: "hastatus -P 8080 svc", before: ["svc:8080": x], code: 1, output: "DOWN\tinf\tsvc::8080\tx\n"),
    Case(
      line: "hastatus -P 8080 -H 10.1.2.3 svc", before: ["svc:10.1.2.3:8080": x], code: 1,
      output: "DOWN\tinf\tsvc:10.1.2.3:8080\tx\n"),
    Case(line: "hastatus all", before: ["all": x], code: 1, output: "DOWN\tinf\tall\tx\n"),
    Case(
      line: "hastatus a b c", before: ["b": x], code: 1, output: "UP\ta\nDOWN\tinf\tb\tx\nUP\tc\n"),
    // Difference 15: what else keeps the service down is said, too.
    Case(
      line: "hastatus -P 8080 svc", before: ["svc": x], code: 1,
      output: "DOWN\tinf\tsvc::8080\tx (all of svc is down)\n"),
    Case(
      line: "hastatus svc", before: ["all": x], code: 1, output: "DOWN\tinf\tsvc\tx (all services are down)\n"),
    Case(line: "hashowdowned"),
    Case(line: "hashowdowned", before: ["svc.b": over], after: []),
    Case(line: "hashowdowned", before: ["svc.b": "text"], output: "DOWN\tinf\tsvc.b\ttext\n"),
    Case(line: "hashowdowned", before: ["svc.b:abc": x], output: "DOWN\tinf\tsvc.b:abc\tx\n"),
    Case(
      line: "hashowdowned", before: ["all": x, "b:10.0.0.1:80": x, "b:80": maint],
      output: "DOWN\tinf\tall\tx\nDOWN\tinf\tb:10.0.0.1:80\tx\nDOWN\t4102444800.000000\tb::80\tmaint\n"),
    Case(
      line: "hashowdowned x", code: 2, error: usage("hashowdowned", "Unexpected args for action status_downed: ['x']")),
    Case(
      line: "hastatus --json a b", before: ["b": x], code: 1,
      output: """
        [
        {"service": "a", "state": "up", "mark": null},
        {"service": "b", "state": "down", "mark": {"name": "b", "service": "b", "host": null, "port": null, \
        "reason": "x", "creation": 1000.5, "expiration": null, "by": null}}
        ]

        """),
    Case(line: "hashowdowned --json", output: "[]\n"),
    Case(
      line: "hashowdowned --json", before: ["all": "a \"b\"\n", "b:10.0.0.1:80": maint],
      output: #"""
        [
        {"name": "all", "service": null, "host": null, "port": null, "reason": "a \"b\"\n", "creation": null, \#
        "expiration": null, "by": null},
        {"name": "b:10.0.0.1:80", "service": "b", "host": "10.0.0.1", "port": 80, "reason": "maint", \#
        "creation": 1000.5, "expiration": 4102444800.0, "by": null}
        ]

        """#),
    Case(line: "hadown --json x", code: 2, error: usage("hadown", "--json: action down prints nothing")),
    Case(line: "halist -p none", code: 2, error: usage("halist", "option -p: none is not a port")),
  ]

  @Test(arguments: cases) func behavesAsUpstream(_ c: Case) async {
    let directory = TemporaryDirectory()
    for (name, text) in c.before { writeFile("\(directory.path)/\(name)", text) }
    let words = c.line.split(separator: " ").map(String.init)
    let outcome = await DowntimeCommand.run(
      name: words[0], arguments: ["--spool-root", directory.path] + words.dropFirst(), environment: c.environment)
    #expect(outcome.exitCode == c.code)
    #expect(outcome.output == c.output)
    #expect(outcome.errorOutput == c.error)
    #expect(names(directory.path) == (c.after ?? c.before.keys.sorted()))
  }

  @Test(arguments: [
    ("90", 90.0), ("90s", 90), ("15m", 900), ("2h", 7200), ("1h30m", 5400), ("1d", 86_400), ("1w", 604_800), ("", nil),
    ("h", nil), ("2x", nil), ("1h30", nil), ("-1h", nil), ("²h", nil),
  ])
  func lengthsOfTimeAreRead(_ text: String, seconds: Double?) { #expect(DowntimeCommand.seconds(text) == seconds) }

  @Test(arguments: [
    ("4102444800", 4_102_444_800.0), ("2100-01-01T00:00:00Z", 4_102_444_800), ("2100-01-01T01:00+01:00", 4_102_444_800),
    ("2099-12-31T19:30:00-0430", 4_102_444_800), ("2100-13-01T00:00Z", nil), ("2100-01-01T24:00Z", nil),
    ("2100-01-01T00:00:00+1", nil), ("25:00", nil), ("12", 12), ("1:2:3:4", nil), ("tomorrow", nil),
  ])
  func endsAreRead(_ text: String, end: Double?) {
    let syntax = CommandSyntax(
      name: "x", abstract: "", operands: "",
      options: [
        .init(long: "expiration", short: "e", value: .text, help: ""), .init(long: "for", value: .text, help: ""),
      ])
    let read = try? DowntimeCommand.end(of: try syntax.parse(["-e", text]), now: 1000)
    #expect(read == end)
  }

  @Test @LoopActor func aTimeOfDayIsTheNextOne() throws {
    let now = LoopClock.system.unixTime
    for text in ["00:00", "12:30", "23:59:59"] {
      let syntax = CommandSyntax(
        name: "x", abstract: "", operands: "", options: [.init(long: "expiration", value: .text, help: "")])
      let end = try #require(try DowntimeCommand.end(of: try syntax.parse(["--expiration", text]), now: now))
      // A day has 25 hours when summer time ends.
      #expect(end > now && end <= now + 25 * 3600)
    }
  }

  @Test func theReasonNamesTheUserOfTheEnvironment() async throws {
    for (environment, who) in [
      (["SUDO_USER": "alice", "SSH_USER": "bob"], "alice"), (["SSH_USER": "bob"], "bob"),
      ([:], DowntimeCommand.person([:])),
    ] {
      let directory = TemporaryDirectory()
      let outcome = await DowntimeCommand.run(
        name: "hadown", arguments: ["--spool-root", directory.path, "-r", "", "svc"], environment: environment)
      #expect(outcome.exitCode == 0)
      let file = try #require(try SpoolDirectory(root: directory.path).read("svc"))
      #expect(file.reason == who && file.setter == who)
      #expect(file.expiration == nil)
    }
  }

  @Test func aMissingSpoolIsMadeButNotItsParent() async {
    let directory = TemporaryDirectory()
    let made = await DowntimeCommand.run(
      name: "hadown", arguments: ["--spool-root", directory.path + "/spool", "-r", "x", "svc"], environment: [:])
    #expect(made == DowntimeCommand.Outcome())
    #expect(names(directory.path + "/spool") == ["svc"])
    let failed = await DowntimeCommand.run(
      name: "hadown", arguments: ["--spool-root", directory.path + "/a/b", "-r", "x", "svc"], environment: [:])
    #expect(failed.exitCode == 1)
    #expect(failed.errorOutput == "hadown: cannot create \(directory.path)/a/b: No such file or directory\n")
  }

  @Test @LoopActor func aServiceThatNobodyKnowsIsAWarning() async throws {
    let hacheck = HTTPListener { exchange in
      exchange.respond(status: 200, text: #"{"seen_services": [["web", {"code": 200}]], "threshold_seconds": 600}"#)
    }
    guard case .tcp(_, let port) = try hacheck.listen(on: .tcp(host: "127.0.0.1", port: 0)) else { return }
    let directory = TemporaryDirectory()
    for (services, code) in [(["web"], 0), (["all"], 0), (["wbe"], 3), (["web", "wbe"], 3)] as [([String], Int32)] {
      var command = try DowntimeCommand(
        "hadown", arguments: ["--spool-root", directory.path, "-p", "\(port)", "-r", "x"] + services)
      #expect(!command.warnsOfStrangers, "another spool may be another hacheck's")
      command.warnsOfStrangers = true
      var outcome = await command.run(environment: [:], isTerminal: false)
      // On a busy machine hacheck may not answer in time; then there is no warning.
      try await eventually("hacheck was asked") {
        if outcome.exitCode != code { outcome = await command.run(environment: [:], isTerminal: false) }
        return outcome.exitCode == code
      }
      #expect(outcome.errorOutput.contains("knows `wbe`; the downtime is set all the same") == (code == 3))
      for service in services { #expect(Files.exists("\(directory.path)/\(service)")) }
    }
    hacheck.close()
  }

  @Test @LoopActor func halistAsksTheAgent() async throws {
    let directory = TemporaryDirectory()
    var configuration = HacheckConfiguration()
    (configuration.ports, configuration.bindAddress) = ([0], "127.0.0.1")
    configuration.spoolRoot = directory.path
    let hacheck = HacheckService(
      configuration: configuration, logger: silent, metrics: Metrics())
    try hacheck.open()
    let port = try hacheck.listen()[0]
    defer { hacheck.stop() }
    for name in ["b.main", "a.main"] {
      let request = HTTPRequest(endpoint: .tcp(host: "127.0.0.1", port: port), target: "/spool/\(name)/1/s")
      _ = try await HTTPClient.send(request, deadline: .seconds(300))
    }
    let outcome = await DowntimeCommand.run(name: "halist", arguments: ["-p", "\(port)"], environment: [:])
    #expect(outcome.exitCode == 0)
    let lines = outcome.output.split(separator: "\n")
    #expect(lines.count == 2)
    #expect(lines[0].hasPrefix(#"a.main last_response={"code": 200, "remote_ip": "127.0.0.1", "ts": "#))
    #expect(lines[1].hasPrefix("b.main "))
    let json = await DowntimeCommand.run(name: "halist", arguments: ["--json", "-p", "\(port)"], environment: [:])
    let items = try #require(JSONValue(Array(json.output.utf8)))
    guard case .array(let objects) = items else { return #expect(Bool(false), "\(json.output)") }
    #expect(objects.map { $0["service"] } == [.string("a.main"), .string("b.main")])
    #expect(objects.first?["last_response"]?["code"]?.double == 200)
    let nobody = await DowntimeCommand.run(
      name: "halist", arguments: ["-p", "\(try freePort())"], environment: [:])
    #expect(nobody.exitCode == 1)
    #expect(nobody.output.isEmpty && nobody.errorOutput.hasPrefix("halist: cannot connect"))
  }

  @Test func helpIsNoError() async {
    for name in DowntimeCommand.Action.allCases.map(\.command) {
      let outcome = await DowntimeCommand.run(name: name, arguments: ["-h"], environment: [:])
      #expect(outcome.exitCode == 0)
      #expect(outcome.output.hasPrefix("OVERVIEW: ") && outcome.output.contains("\n\nUSAGE: \(name) [<options>]"))
    }
  }

  private func names(_ path: String) -> [String] { (try? SpoolDirectory(root: path).names()) ?? [] }
}

@Suite struct HacheckProgramTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let line: String
    let shown: String
    var testDescription: String { line }

    init(_ line: String, _ shown: String) {
      self.line = line
      self.shown = shown
    }
  }

  static let cases = [
    Case("", "[3333] 0.0.0.0 /var/spool/hacheck"),
    Case("-p 6666 -p 6667", "[6666, 6667] 0.0.0.0 /var/spool/hacheck"),
    Case("-p6666 -B 127.0.0.1 --spool-root=/tmp/x -n 2 -v foo bar", "[6666] 127.0.0.1 /tmp/x"),
    Case("--bind ::1", "[3333] ::1 /var/spool/hacheck"),
    Case("-p abc", "option -p: invalid integer value: 'abc'"),
    Case("-p 70000", "70000 is not a port"),
    Case("-n many", "option -n: invalid integer value: 'many'"),
    Case("--verbose=1", "--verbose option does not take a value"),
    Case("-x", "no such option: -x"),
    Case("-c /nonexistent.yaml", "/nonexistent.yaml: cannot open /nonexistent.yaml: No such file or directory"),
  ]

  @Test(arguments: cases) func readsItsCommandLine(_ c: Case) {
    let shown: String
    do {
      let options = try HacheckProgram.syntax.parse(c.line.split(separator: " ").map(String.init))
      let configuration = try HacheckProgram.configuration(options).configuration
      shown = "\(configuration.ports) \(configuration.bindAddress) \(configuration.spoolRoot)"
    } catch CommandUsage.wrong(let sentence) {
      shown = sentence
    } catch {
      shown = "\(error)"
    }
    #expect(shown == c.shown)
  }
}
