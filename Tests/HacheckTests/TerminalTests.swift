import Glibc
import Reactor
import TestSupport
import Testing

@testable import Hacheck

/// The commands as a person at a terminal sees them.
@Suite struct TerminalTests {
  private static func mark(_ directory: TemporaryDirectory, _ name: String, _ downtime: Downtime) throws {
    try Files.write(downtime.fileContents, to: "\(directory.path)/\(name)", mode: 0o644, sync: false)
  }

  /// A reason is anybody's: it stays on its line, and does not act on the terminal.
  @Test @LoopActor func aReasonIsOneLine() async throws {
    let directory = TemporaryDirectory()
    try TerminalTests.mark(
      directory, "a", Downtime(scope: .service("a"), reason: "x\nUP\tb\u{2028}\u{1b}[2J", creation: 1, expiration: nil))
    let nerve = BuiltProgram.path("nerve")
    for command in [["hashowdowned"], ["hastatus", "a"]] {
      let arguments = command.prefix(1) + ["--spool-root", directory.path] + command.dropFirst()
      let result = try await ChildProcess.run(nerve, arguments: Array(arguments), deadline: .seconds(120))
      #expect(
        String(decoding: result.output, as: UTF8.self) == #"DOWN\#tinf\#ta\#tx\nUP\tb\u{2028}\u{1b}[2J"# + "\n",
        "\(command)")
    }
  }

  @Test @LoopActor func timesAreWordsAtATerminalOnly() async throws {
    let directory = TemporaryDirectory()
    let now = LoopClock.system.unixTime
    try TerminalTests.mark(
      directory, "a", Downtime(scope: .service("a"), reason: "x", creation: now, expiration: now + 7500))
    try TerminalTests.mark(directory, "b", Downtime(scope: .service("b"), reason: "y", creation: now, expiration: nil))
    let nerve = BuiltProgram.path("nerve")
    let arguments = ["hashowdowned", "--spool-root", directory.path]
    let piped = try await ChildProcess.run(nerve, arguments: arguments, deadline: .seconds(120))
    #expect(
      String(decoding: piped.output, as: UTF8.self) == "DOWN\t\((now + 7500).sixDecimals)\ta\tx\nDOWN\tinf\tb\ty\n")
    // script(1) runs a program at a terminal of its own and shows what that shows.
    let line = ([nerve] + arguments).joined(separator: " ")
    let shown = try await ChildProcess.run("script", arguments: ["-qec", line, "/dev/null"], deadline: .seconds(120))
    let text = String(decoding: shown.output, as: UTF8.self).filter { $0 != "\r" && $0 != "\r\n" || $0 == "\r\n" }
    let lines = text.split(whereSeparator: \.isNewline).map(String.init)
    #expect(lines.count == 2, "\(text)")
    #expect(lines.first?.wholeMatch(of: /DOWN\t2 h( [0-9]+ min)? left\ta\tx/) != nil, "\(text)")
    #expect(lines.last == "DOWN\tno end\tb\ty", "\(text)")
  }
}
