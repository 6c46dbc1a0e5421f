import Configure
import Glibc
import HAProxyRuntime
import Reactor
import SmartStack
import TestSupport
import Testing
import YAMLConfig

@testable import OperatorTools

/// What the original `updown_service` did, replayed: its soa-configs, HAProxy's answers in turn, its commands' exit
/// statuses; compared are exit status, both outputs, the commands run, the pauses and the number of questions.
@Suite("updown_service: recorded cases") struct UpdownGoldenTests {
  private static let cases = (try? goldenFile("updown_service.json")).flatMap { JSONValue($0)?.object } ?? JSONObject()

  /// Where another answer than the recorded one is right (docs/compatibility.md, updown_service).
  struct Difference {
    var reason: String
    var exitCode: Int?
    var stdout: String?
    /// Words on the standard error in place of what was recorded.
    var complaint: String?
    var sleeps: [Int]?
    var requests: Int?
    var commands: [[String]]?
  }

  private static let entered = "Service entered state 'down'\nSleeping for an additional 5s\n"
  private static let failedUp = "Service failed to enter state 'up'\n"
  private static let why = "a state that is not reached is explained, in place of general advice"

  static let differences: [String: Difference] = [
    "up_never": Difference(
      reason: why, stdout: "...\n" + failedUp,
      complaint: "HAProxy has host1_10.1.1.1:31062 DOWN; see `hastatus svc.main`"),
    "down_never": Difference(reason: why, complaint: "HAProxy has host1_10.1.1.1:31062 UP; see"),
    "timeout_from_smartstack": Difference(reason: why, complaint: "HAProxy has host1_10.1.1.1:31062 UP; see"),
    "timeout_arg_wins": Difference(
      reason: "the dots end with their line", stdout: ".\nService failed to enter state 'down'\n",
      complaint: "HAProxy has host1_10.1.1.1:31062 UP; see"),
    "all_downed_tcp": Difference(
      reason: why, stdout: "..\n" + failedUp, complaint: "HAProxy has host1_10.1.1.1:31062 DOWN; see"),
    "haproxy_500": Difference(
      reason: why, stdout: "..\n" + failedUp, complaint: "(it answers HTTP 500)"),
    "haproxy_junk": Difference(
      reason: "a page that is none is asked for again, like one that does not come", stdout: "..\n" + failedUp,
      complaint: "is not a stats page", sleeps: [1, 1], requests: 2,
      commands: [["haup", "svc.main"], ["hastatus", "all"], ["hastatus", "all"]]),
    "timeout_zero": Difference(
      reason: "-t 0 is one look, not none", exitCode: 0,
      stdout: "Service entered state 'up'\nSleeping for an additional 5s\n", sleeps: [5], requests: 1,
      commands: [["haup", "svc.main"], ["hastatus", "all"]]),
    "port_two_instances_other_port_first": Difference(
      reason: "the port says which server is meant", exitCode: 0, stdout: entered, sleeps: [5], requests: 1),
    "ip_suffix_matches_other_host": Difference(
      reason: "another host's address may end like ours", exitCode: 0, stdout: entered, sleeps: [5], requests: 1),
    "no_backends_at_all": Difference(
      reason: "says what to look at", complaint: "HAProxy has no backend svc.main; is it"),
    "proxy_port_null": Difference(reason: "says what to look at", complaint: "HAProxy has no backend svc.main; is it"),
    "hadown_fails": Difference(reason: "says why", complaint: "Error running hadown: status 1"),
  ]

  @Test func everyDifferenceIsOfARecordedCase() {
    #expect(Self.cases.count >= 30)
    for name in Self.differences.keys { #expect(Self.cases[name] != nil, "\(name)") }
  }

  @Test(arguments: cases.keys) @LoopActor func behavesAsRecorded(_ name: String) async throws {
    let recorded = try #require(Self.cases[name])
    let host = UpdownHost(recorded)
    let status = try await host.run(recorded["args"]?.strings ?? [], recorded["soa"])
    let ours = Self.differences[name]
    #expect(Int(status) == ours?.exitCode ?? recorded["exit_code"]?.int)
    #expect(host.output == ours?.stdout ?? recorded["stdout"]?.string)
    if let words = ours?.complaint {
      #expect(host.errorOutput.contains(words), "\(host.errorOutput)")
      #expect(host.errorOutput.split(separator: "\n").count == 1)
    } else if ours?.exitCode == nil {
      #expect(host.errorOutput == recorded["stderr"]?.string)
    }
    let commands = (recorded["commands_run"]?.array ?? []).map { $0.strings ?? [] }
    #expect(host.commands == ours?.commands ?? commands)
    let sleeps = (recorded["sleeps"]?.array ?? []).flatMap { run in
      [Int](repeating: run.array?[0].int ?? -1, count: run.array?[1].int ?? 0)
    }
    #expect(host.sleeps == ours?.sleeps ?? sleeps)
    #expect(host.requests.count == ours?.requests ?? recorded["requests"]?.int)
    // What was asked: HAProxy, or the service itself.
    if ours?.requests == nil { #expect(Set(host.requests).sorted() == recorded["targets"]?.strings) }
  }
}

/// The world as one recorded case has it.
@LoopActor final class UpdownHost {
  private(set) var output = ""
  private(set) var errorOutput = ""
  private(set) var commands: [[String]] = []
  private(set) var sleeps: [Int] = []
  private(set) var requests: [String] = []
  private var answers: [JSONValue]
  private let statuses: JSONValue?

  init(_ recorded: JSONValue) {
    answers = recorded["answers"]?.array ?? []
    statuses = recorded["command_rc"]
  }

  func run(_ words: [String], _ soa: JSONValue?) async throws -> Int32 {
    let arguments: UpdownArguments
    do throws(CommandUsage) { arguments = try UpdownArguments(words) } catch {
      guard case .wrong(let problem) = error else { return 0 }
      errorOutput += UpdownArguments.complaint(problem)
      return 2
    }
    let directory = TemporaryDirectory()
    for (service, files) in soa?.object?.members ?? [] {
      for (name, content) in files.object?.members ?? [] {
        try directory.write(content.string ?? content.text(), to: "\(service)/\(name)")
      }
    }
    let facts = try UpdownFacts(arguments, in: ServiceDirectory(path: directory.path, files: SourceFiles()))
    return await UpdownService(
      arguments: arguments, facts: facts, addresses: ["10.1.1.1"],
      hacheck: { name, words in
        self.commands.append([name] + words)
        return (Int32(self.statuses?[name]?.int ?? 0), "")
      },
      isDrained: { _ in false },
      page: {
        self.requests.append("/;csv")
        return try UpdownHost.page(self.nextAnswer())
      },
      askService: { _, target in
        self.requests.append(target)
        return self.nextAnswer().array?[0].int == 200 ? nil : "not well"
      },
      clock: .manual(),
      pause: { self.sleeps.append(Int($0 / .seconds(1))) },
      output: { if $1 == STDOUT_FILENO { self.output += $0 } else { self.errorOutput += $0 } }
    ).run()
  }

  /// The last answer is given again and again.
  private func nextAnswer() -> JSONValue { answers.count > 1 ? answers.removeFirst() : answers.first ?? .null }

  private static func page(_ answer: JSONValue) throws -> StatsPage {
    if let status = answer.array?[0].int { throw ServerTrouble(description: "no page (it answers HTTP \(status))") }
    guard let page = StatsPage(Array((answer.string ?? "").utf8)) else {
      throw ServerTrouble(description: "its answer is not a stats page")
    }
    return page
  }
}
