internal import AgentKit
public import ArgumentParser
internal import Glibc
public import Reactor
internal import SmartStack

/// One command of the executable, as its table has it.
public struct Command: Sendable {
  /// The names it is called by, the usual one first.
  public let names: [String]
  /// The purpose in one line.
  let summary: String
  /// Its name in messages, for example `nerve status`.
  let title: String
  let run: @LoopActor @Sendable (_ arguments: [String]) async throws -> Int32
  /// Answers a wrong command line in a way of its own; nil: as all commands do.
  var onWrongUsage: (@Sendable (_ arguments: [String], _ problem: String) -> Int32?)?

  /// Creates a command that reads its arguments itself.
  /// - Parameter run: returns the exit status; throws ``CommandUsage``, or another error for status 1.
  init(
    _ name: String, summary: String, run: @escaping @LoopActor @Sendable (_ arguments: [String]) async throws -> Int32
  ) {
    (names, title, self.summary, self.run) = ([name], name, summary, run)
  }

  /// Creates a command from a `ParsableCommand`, whose name and abstract it has.
  public init<Parsed: AsyncParsableCommand>(_ type: Parsed.Type, aliases: [String] = []) {
    title = Parsed.configuration.commandName ?? ""
    names = [title.split(separator: " ").last.map(String.init) ?? title] + aliases
    summary = Parsed.configuration.abstract
    run = { arguments in
      var command: Parsed
      do { command = try Parsed.parse(arguments) } catch {
        if Parsed.exitCode(for: error) == .success { throw CommandUsage.text(Parsed.fullMessage(for: error) + "\n") }
        throw CommandUsage.wrong(Parsed.message(for: error))
      }
      do {
        try await command.run()
        return 0
      } catch let code as ExitCode {
        return code.rawValue
      }
    }
  }
}

/// An agent and its tools: the executable is the program whose name it is called by, or that its first word names, else
/// the agent.
@LoopActor public struct CommandTable {
  private nonisolated let agent: Command
  private nonisolated let commands: [Command]

  /// Creates the table of the agent and the commands beside it.
  public nonisolated init(agent: Command, commands: [Command]) {
    (self.agent, self.commands) = (agent, commands)
  }

  /// Whether the process is called by the name of the agent or of one of the commands.
  public nonisolated var isCalled: Bool { Self.program == agent.title || command(Self.program) != nil }

  /// The name that the process is called by.
  private nonisolated static var program: String {
    CommandLine.arguments.first?.split(separator: "/").last.map(String.init) ?? ""
  }

  /// Runs the process's command line on the event loop, and exits with its status. The main thread only waits: an
  /// `async` main would start libdispatch's threads, whose watchdog ends the process where /proc shows another process
  /// namespace.
  public nonisolated func main() -> Never {
    let (words, program) = (CommandLine.arguments, Self.program)
    // Before any other thread is there: a signal that meets a program which does not listen yet would kill it.
    if command(program) == nil, words.count < 2 || words[1].hasPrefix("-") {
      ThisProcess.holdSignals([SIGHUP, SIGUSR2])
    }
    Task { @LoopActor in
      exit(await run(program: program, arguments: Array(words.dropFirst()), output: StandardOutput.write))
    }
    while true { pause() }
  }

  /// Runs one command line.
  /// - Parameters:
  ///   - program: the name that the executable is called by.
  ///   - arguments: without that name.
  ///   - output: receives what concerns usage.
  /// - Returns: the exit status; 2 for wrong usage.
  func run(program: String, arguments: [String], output: (_ text: String, _ descriptor: Int32) -> Void) async -> Int32 {
    var (command, words) = (agent, arguments)
    if let named = self.command(program) {
      command = named
    } else if let word = arguments.first, let named = self.command(word) {
      (command, words) = (named, Array(arguments.dropFirst()))
    } else if let word = arguments.first, !word.isEmpty, !word.hasPrefix("-") {
      let hint = word.nearest(in: commands.flatMap(\.names)).map { "; did you mean '\($0)'?" } ?? ""
      output(CommandUsage.complaint("no such command '\(word)'\(hint)", of: agent.title), STDERR_FILENO)
      return 2
    }
    do {
      return try await command.run(words)
    } catch CommandUsage.text(let text) {
      output(text + (command.title == agent.title && text.hasPrefix("OVERVIEW") ? list : ""), STDOUT_FILENO)
      return 0
    } catch CommandUsage.wrong(let problem) {
      if let status = command.onWrongUsage?(words, problem) { return status }
      output(CommandUsage.complaint(problem, of: command.title), STDERR_FILENO)
      return 2
    } catch {
      output(AgentLog.complaint("\(command.title): \(error)\n"), STDERR_FILENO)
      return 1
    }
  }

  private nonisolated func command(_ name: String) -> Command? { commands.first { $0.names.contains(name) } }

  /// The commands, for the agent's help.
  private var list: String {
    let lines = commands.map { CommandSyntax.line($0.names.joined(separator: ", "), text: $0.summary) }
    return
      "\nCOMMANDS:\n\(lines.joined(separator: "\n"))\n\nRun '\(agent.title) COMMAND --help' for the usage of one.\n"
  }
}
