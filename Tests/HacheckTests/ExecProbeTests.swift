import Reactor
import SmartStack
import TestSupport
import Testing

@testable import Hacheck

@Suite @LoopActor struct ExecProbeTests {
  private func check(
    _ command: [String], variables: [String: String] = [:], slots: AsyncSemaphore = AsyncSemaphore(limit: 4)
  ) -> ExecProbe {
    ExecProbe(
      ExecProbe.Settings(command: command, variables: variables),
      in: ProbeContext(clock: .system, commands: slots, environment: ["PATH": "/usr/bin:/bin"]))
  }

  private func shell(_ line: String) -> [String] { ["/bin/sh", "-c", line] }

  struct Case: Sendable, CustomTestStringConvertible {
    var line: String
    var passed: Bool
    var detail: String
    var testDescription: String { line }
  }

  nonisolated static let cases = [
    Case(line: "true", passed: true, detail: "exit status 0"),
    Case(line: "echo fine; echo more", passed: true, detail: "exit status 0: fine"),
    Case(line: "echo 'disk full' >&2; exit 3", passed: false, detail: "exit status 3: disk full"),
    Case(line: "echo; printf ' \\n'; echo third; exit 1", passed: false, detail: "exit status 1: third"),
    Case(line: "kill -9 $$", passed: false, detail: "ended by signal 9"),
    Case(line: "printf 'a\\033[2Jb\\n'", passed: true, detail: "exit status 0: a\\u{1b}[2Jb"),
    Case(line: "echo $NERVE_SERVICE $NERVE_HOST:$NERVE_PORT", passed: true, detail: "exit status 0: web 10.0.0.5:3000"),
    Case(line: "head -c 1000000 /dev/zero; exit 0", passed: true, detail: "exit status 0"),
    Case(line: "cat", passed: true, detail: "exit status 0"),
  ]

  @Test("commands", arguments: cases) func command(_ c: Case) async {
    let variables = ["NERVE_SERVICE": "web", "NERVE_HOST": "10.0.0.5", "NERVE_PORT": "3000"]
    let result = await check(shell(c.line), variables: variables).judged(deadline: .seconds(60))
    #expect(result.passed == c.passed)
    #expect(result.detail == c.detail)
  }

  @Test func aProgramThatIsNotThere() async {
    let result = await check(["/does/not/exist"]).judged(deadline: .seconds(60))
    #expect(!result.passed)
    #expect(result.detail == "cannot run /does/not/exist: No such file or directory")
  }

  @Test func argumentsAreNotTheShells() async {
    let result = await check(["/bin/echo", "$HOME; exit 1"]).judged(deadline: .seconds(60))
    #expect(result.detail == "exit status 0: $HOME; exit 1")
  }

  @Test func aCommandThatHangsFailsAtItsDeadlineAndIsNotRunTwiceAtOnce() async throws {
    let directory = TemporaryDirectory()
    // Deaf to SIGTERM: it ends with the SIGKILL that follows.
    let check = check(shell("echo x >> \(directory.path)/runs; trap '' TERM; while :; do sleep 0.05; done"))
    let first = await check.judged(deadline: .milliseconds(300))
    #expect(!first.passed)
    let start = LoopClock.system.now
    let second = await check.judged(deadline: .milliseconds(1))
    #expect(!second.passed)
    // The second began after the first was gone, so it had to wait for the grace time.
    #expect(try Files.read(directory.path + "/runs", limit: 100).count <= 4)
    #expect(LoopClock.system.now - start < .seconds(30))
  }

  @Test func soManyAtOnceAndTheOthersWaitWithoutFailing() async throws {
    let directory = TemporaryDirectory()
    let slots = AsyncSemaphore(limit: 2)
    let line = "mkdir \(directory.path)/$$; ls \(directory.path) | wc -l; sleep 0.1; rmdir \(directory.path)/$$"
    let checks = (0..<6).map { _ in check(shell(line), slots: slots) }
    var details: [String] = []
    for task in checks.map({ check in Task.immediate { await check.judged(deadline: .seconds(60)) } }) {
      let result = await task.value
      #expect(result.passed)
      details.append(result.detail)
    }
    #expect(details.allSatisfy { $0 == "exit status 0: 1" || $0 == "exit status 0: 2" })
    #expect(slots.acquiredCount == 0)
  }

  @Test func commandsAreListsOrLines() throws {
    func settings(_ command: String) throws -> ExecProbe.Settings? {
      try probeSettings(#""type": "exec", "host": "127.0.0.1", "name": "n", "command": \#(command)"#)
        as? ExecProbe.Settings
    }
    #expect(try settings(#"["/bin/x", "a b", 7]"#)?.command == ["/bin/x", "a b", "7"])
    let line = try settings(#""x | y""#)
    #expect(line?.command == ["/bin/sh", "-c", "x | y"])
    #expect(
      line?.variables == [
        "NERVE_SERVICE": "web", "NERVE_CHECK": "n", "NERVE_HOST": "127.0.0.1", "NERVE_PORT": "3000",
      ])
  }
}
