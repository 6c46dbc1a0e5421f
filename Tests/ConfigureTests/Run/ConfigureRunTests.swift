import Configure
import Reactor
import TestSupport
import Testing

@Suite("tools that write configuration") struct ConfigureRunTests {
  /// What no event tells is looked at now and then: that is also what keeps the file's date young.
  @Test @LoopActor func aResidentRunComesBackByItselfAndWhenAFileChanges() async throws {
    let directory = TemporaryDirectory()
    let clock = LoopClock.manual()
    var turns = 0
    let resident = ResidentRun(
      refresh: .seconds(60), clock: clock, say: { _ in },
      turn: {
        turns += 1
        return [directory.path + "/file"]
      })
    let running = Task { @LoopActor in await resident.run() }
    // The directory is watched from the first run on; what happened before is looked at once more.
    try await eventually("the first run and the one for the new watch") {
      clock.advance(by: .milliseconds(5))
      return turns == 2
    }
    try await eventually("a minute is over") {
      clock.advance(by: .seconds(20))
      return turns > 2
    }
    let before = turns
    try directory.write("x", to: "file")
    try await eventually("a change") {
      clock.advance(by: .milliseconds(5))
      return turns > before
    }
    resident.stop()
    clock.advance(by: .seconds(1))
    await running.value
  }

  static let statuses: [(mode: ConfigureMode, isChanged: Bool, isIncomplete: Bool, status: Int32, failure: Int32)] = [
    (.write, false, false, 0, 1), (.write, true, false, 0, 1), (.write, true, true, 3, 1),
    (.dryRun, false, true, 0, 2), (.dryRun, true, false, 1, 2), (.diff(inColor: true), true, true, 1, 2),
    (.diff(inColor: false), false, false, 0, 2),
  ]

  @Test("exit statuses", arguments: statuses) func exitStatuses(
    _ mode: ConfigureMode, _ isChanged: Bool, _ isIncomplete: Bool, _ status: Int32, _ failure: Int32
  ) {
    #expect(mode.status(isChanged: isChanged, isIncomplete: isIncomplete) == status)
    #expect(mode.failure == failure)
  }

  @Test func aFileIsTouchedMarkedAndCompared() throws {
    let directory = TemporaryDirectory()
    let file = GeneratedFile(path: directory.path + "/x.json")
    #expect(try file.standing([1]) == .missing)
    try file.update(with: [1], standing: .missing)
    #expect(try file.standing([1]) == .same && file.isPending)
    #expect(try file.standing([2]) == .different)
    #expect(try file.standing([1, 2]) == .different)
    try file.settle()
    let large = [UInt8](repeating: 7, count: 600_000)
    try file.update(with: large, standing: .different, sync: false)
    #expect(try file.standing(large) == .same && file.isPending)
    #expect(try file.standing(large.dropLast() + [8]) == .different)
    #expect(file.diff(Array("a\n".utf8), inColor: true).contains("\u{1B}["))
    #expect(throws: FileError.self) { try GeneratedFile(path: directory.path).standing([1]) }
  }
}
