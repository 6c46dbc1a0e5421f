import Glibc
import Reactor
import TestSupport
import Testing

@testable import OperatorTools

@Suite @LoopActor struct CommandTableTests {
  private func run(_ arguments: [String], program: String = "nerve") async -> (status: Int32, words: [String]) {
    let agent = Command("nerve", summary: "Agent.") { arguments in
      if arguments == ["--help"] { throw CommandUsage.text("OVERVIEW: Agent.\n") }
      return 7
    }
    var words: [String] = []
    let status = await CommandTable(agent: agent, commands: Command.nerveTools).run(
      program: program, arguments: arguments
    ) { text, descriptor in words.append("\(descriptor): \(text)") }
    return (status, words)
  }

  @Test func anUnknownWordIsAUsageErrorThatNamesTheNearestCommand() async {
    let near = await run(["stauts", "-c", "x"])
    #expect(near.status == 2)
    #expect(
      near.words == [
        "2: nerve: no such command 'stauts'; did you mean 'status'?\nRun 'nerve --help' for usage.\n"
      ])
    #expect(await run(["elephant"]).words == ["2: nerve: no such command 'elephant'\nRun 'nerve --help' for usage.\n"])
  }

  @Test func theAgentsHelpListsEveryCommandOnOneLine() async {
    let help = await run(["--help"])
    #expect(help.status == 0)
    let lines = Set((help.words.first ?? "").split(separator: "\n").map(String.init))
    for command in Command.nerveTools {
      let name = command.names[0]
      #expect(lines.contains { $0.hasPrefix("  \(name) ") && $0.hasSuffix(command.summary) }, "\(name)")
    }
  }

  @Test func theProgramsNameOrTheFirstWordSelectsTheCommand() async {
    #expect(await run(["-x"]).status == 7)
    #expect(await run(["-x"], program: "clean_nerve").status == 2)
    #expect(await run(["clean_nerve", "-x"]).words.first?.hasPrefix("2: clean_nerve: no such option: -x\n") == true)
  }

  /// The package has the executable once, under the names of both agents and of all their tools.
  @Test(arguments: ["nerve", "synapse", "hastatus", "configure_synapse"])
  func theExecutableIsTheProgramWhoseNameItHas(_ name: String) async throws {
    let directory = TemporaryDirectory()
    let path = "\(directory.path)/\(name)"
    #expect(symlink(BuiltProgram.path(name == "synapse" ? "nerve" : "synapse"), path) == 0)
    let help = try await ChildProcess.run(path, arguments: ["--help"], deadline: .seconds(60))
    #expect(String(decoding: help.output, as: UTF8.self).contains("\n\nUSAGE: \(name) "))
  }

  private nonisolated static let commands = [
    ("nerve", ""), ("nerve", "status"), ("nerve", "validate"), ("nerve", "hacheck"), ("nerve", "haup"),
    ("nerve", "hadown"), ("nerve", "hastatus"), ("nerve", "halist"), ("nerve", "hashowdowned"),
    ("nerve", "configure_nerve"), ("nerve", "updown_service"), ("nerve", "clean_nerve"), ("synapse", ""),
    ("synapse", "status"), ("synapse", "validate"), ("synapse", "render"), ("synapse", "configure_synapse"),
    ("synapse", "smartstack-status"), ("synapse", "haproxy_synapse_reaper"), ("synapse", "generate_container_ip_map"),
  ]

  @Test(arguments: commands) func everyHelpHasOneFormAndNoSwiftSyntax(_ program: String, command: String) async throws {
    let words = (command.isEmpty ? [] : [command])
    let help = try await ChildProcess.run(
      BuiltProgram.path(program), arguments: words + ["--help"], deadline: .seconds(60))
    #expect(help.status == .exited(0))
    let text = String(decoding: help.output, as: UTF8.self)
    #expect(text.hasPrefix("OVERVIEW: ") && text.contains("\n\nUSAGE: ") && text.contains("\n  -h, --help"), "\(text)")
    for syntax in [#/[A-Z]\w*\(/#, #/Optional/#, #/\w\(\w+: /#, #/\[\]/#, #/\bnil\b/#] {
      #expect(text.firstMatch(of: syntax) == nil, "\(text)")
    }
  }

  @Test(arguments: commands) func everyUsageErrorExitsWithTwo(_ program: String, command: String) async throws {
    let words = (command.isEmpty ? [] : [command])
    let wrong = try await ChildProcess.run(
      BuiltProgram.path(program), arguments: words + ["--nonsense"], deadline: .seconds(60))
    #expect(wrong.status == .exited(2))
    let title = command.isEmpty || ["status", "validate", "render"].contains(command) ? program : command
    let text = String(decoding: wrong.errorOutput, as: UTF8.self)
    if command == "updown_service" {
      #expect(text.hasPrefix("usage: updown_service [-h] ") && text.contains("\nupdown_service: error: "), "\(text)")
    } else {
      #expect(text.hasPrefix(title) && text.hasSuffix(" --help' for usage.\n"), "\(text)")
    }
    #expect(wrong.output.isEmpty)
  }
}
