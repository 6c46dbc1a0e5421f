import Configure
import Glibc
import HAProxyRuntime
import Reactor
import SmartStack
import TestSupport
import Testing
import YAMLConfig

@testable import OperatorTools

@Suite("updown_service") struct UpdownTests {
  struct Case: CustomStringConvertible {
    var name: String
    var line: String
    var servers: [String]
    var drained: Set<Int> = []
    var state: UpdownService.HAProxyState
    var description: String { name }
  }

  static let cases = [
    Case(
      name: "all of the host are down", line: "web.main down", servers: ["a_10.0.0.1:1 DOWN", "b_10.0.0.2:1 UP"],
      state: .reached),
    Case(
      name: "one of the host's is still up", line: "web.main down", servers: ["a_10.0.0.1:1 DOWN", "a_10.0.0.1:2 UP"],
      state: .notYet("HAProxy has a_10.0.0.1:2 UP")),
    Case(
      name: "the one that is meant is down", line: "web.main:1 down",
      servers: ["a_10.0.0.1:1 DOWN", "a_10.0.0.1:2 UP"], state: .reached),
    Case(name: "a server that is gone is down", line: "web.main down", servers: [], state: .reached),
    Case(
      name: "all of the host are up", line: "web.main up", servers: ["a_10.0.0.1:1 UP", "a_10.0.0.1:2 UP 1/2"],
      state: .reached),
    Case(
      name: "one of the host's is not up yet", line: "web.main up", servers: ["a_10.0.0.1:1 UP", "a_10.0.0.1:2 MAINT"],
      state: .notYet("HAProxy has a_10.0.0.1:2 MAINT")),
    Case(
      name: "one that is drained by itself does not count", line: "web.main up",
      servers: ["a_10.0.0.1:1 UP", "a_10.0.0.1:2 MAINT"], drained: [2], state: .reached),
    Case(
      name: "all are drained one by one", line: "web.main up", servers: ["a_10.0.0.1:1 MAINT", "a_10.0.0.1:2 MAINT"],
      drained: [2, 1], state: .notYet("this host's instances are drained one by one (port 1, 2)")),
    Case(
      name: "a server that is gone is not up", line: "web.main:3 up", servers: ["a_10.0.0.1:1 UP"],
      state: .notYet("HAProxy has no server of this host on port 3")),
    Case(name: "without a check it serves", line: "web.main up", servers: ["a_10.0.0.1:1 no check"], state: .reached),
    Case(
      name: "without a check it is not down", line: "web.main down", servers: ["a_10.0.0.1:1 no check"],
      state: .notYet("HAProxy has a_10.0.0.1:1 no check")),
    Case(name: "IPv6", line: "web.main up", servers: ["a_fd00::1:80 UP"], state: .reached),
    Case(name: "another backend", line: "geo.main up", servers: ["a_10.0.0.1:1 UP"], state: .noSuchBackend),
  ]

  @Test(arguments: cases) func whatHAProxySays(_ one: Case) throws {
    let rows = one.servers.map { $0.split(separator: " ", maxSplits: 1) }
    let lines = ["# pxname,svname,status,", "web.main,FRONTEND,OPEN,"] + rows.map { "web.main,\($0[0]),\($0[1])," }
    let page = try #require(StatsPage(Array(lines.joined(separator: "\n").utf8)))
    let arguments = try UpdownArguments(one.line.split(separator: " ").map(String.init))
    let state = UpdownService.state(
      of: arguments, on: page, addresses: ["10.0.0.1", "fd00::1"], drained: one.drained)
    #expect(state == one.state)
  }

  @Test(arguments: [
    (["-t3", "--wait-t=0", "-x", "web.main:80", "up"], "web main 80 up 3 0 true"),
    (["web.main", "down", "--timeout", "7"], "web main nil down 7 5 false"),
  ])
  func commandLines(_ words: [String], _ expected: String) throws {
    let a = try UpdownArguments(words)
    let port = a.port.map(String.init) ?? "nil"
    let timeout = a.timeout.map(String.init) ?? "nil"
    #expect("\(a.service) \(a.namespace) \(port) \(a.state) \(timeout) \(a.waitTime) \(a.isWaitOnly)" == expected)
  }

  @Test(arguments: [
    (["web.main"], "the following arguments are required: state"),
    (["web.main", "up", "x"], "unrecognized arguments: x"),
    (["-t", "x", "web.main", "up"], "option -t: invalid integer value: 'x'"),
    (["-w", "-1", "web.main", "up"], "argument -w/--wait-time: -1 seconds are negative"),
    (["../etc.main", "up"], "argument service: Namespace missing from service name"),
    (["web.main:0", "up"], "argument service: Port is not a number"),
    (["web.main:", "up"], "argument service: Port is not a number"),
  ])
  func wrongCommandLines(_ words: [String], _ sentence: String) {
    #expect(throws: CommandUsage.wrong(sentence)) { try UpdownArguments(words) }
  }

  @Test func aConfigurationThatIsWrongIsNamed() throws {
    let directory = TemporaryDirectory()
    try directory.write("main: {proxy_port: 1, updown_timeout_s: soon}\n", to: "web/smartstack.yaml")
    let arguments = try UpdownArguments(["web.main", "up"])
    do throws(ConfigError) {
      _ = try UpdownFacts(arguments, in: ServiceDirectory(path: directory.path, files: SourceFiles()))
      Issue.record("it is taken")
    } catch {
      #expect(
        "\(error)".hasSuffix(
          "web/smartstack.yaml:1:41: main.updown_timeout_s: expected a number, found the text \"soon\""))
    }
  }

  /// A HAProxy that takes a second for each answer: the time-out is one of time, not a number of questions.
  @Test @LoopActor func theTimeoutIsTime() async throws {
    let directory = TemporaryDirectory()
    try directory.write("main: {proxy_port: 1}\n", to: "web/smartstack.yaml")
    let arguments = try UpdownArguments(["-t", "6", "-x", "web.main", "down"])
    let facts = try UpdownFacts(arguments, in: ServiceDirectory(path: directory.path, files: SourceFiles()))
    let clock = LoopClock.manual()
    var questions = 0
    let updown = UpdownService(
      arguments: arguments, facts: facts, addresses: [], hacheck: { _, _ in (0, "") }, isDrained: { _ in false },
      page: {
        questions += 1
        clock.advance(by: .seconds(1))
        throw ServerTrouble(description: "too slow")
      }, askService: { _, _ in nil }, clock: clock, pause: { clock.advance(by: $0) }, output: { _, _ in })
    #expect(await updown.run() == 1)
    #expect(questions == 3)
  }

  /// The program as it is installed, with HAProxy nowhere: it marks, waits as long as it may, and says why in vain.
  @Test @LoopActor func withoutHAProxy() async throws {
    let directory = TemporaryDirectory()
    try directory.write("main: {proxy_port: 1}\n", to: "soa/web/smartstack.yaml")
    let port = try freePort()
    let result = try await ChildProcess.run(
      BuiltProgram.path("nerve"), arguments: ["updown_service", "-t", "1", "web.main:31001", "down"],
      environment: [
        "SOA_DIR": directory.path + "/soa", "HACHECK_SPOOL_ROOT": directory.path + "/spool",
        "HAPROXY_STATS_ADDRESS": "127.0.0.1:\(port)",
      ], deadline: .seconds(60))
    #expect(result.status == .exited(1))
    #expect(String(decoding: result.output, as: UTF8.self) == ".\nService failed to enter state 'down'\n")
    let complaint = String(decoding: result.errorOutput, as: UTF8.self)
    #expect(
      complaint.hasPrefix("no stats page of HAProxy at http://127.0.0.1:\(port)/ (cannot connect"), "\(complaint)")
    #expect(directory.text(of: "spool/web.main:31001")?.contains("\"reason\"") == true)
  }
}
