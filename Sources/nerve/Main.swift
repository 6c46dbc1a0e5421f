internal import AgentKit
internal import ArgumentParser
internal import Glibc
internal import Logging
internal import NerveAgent
internal import OperatorTools
internal import Reactor

/// `nerve` is several programs: the name it is called by, or its first word, says which.
@main enum Main {
  /// Everything runs on the event loop; the main thread only waits. An `async` main would bring libdispatch's threads
  /// along, whose watchdog ends the process where /proc shows another process namespace.
  static func main() {
    Task { @LoopActor in await start() }
    while true { pause() }
  }

  @LoopActor private static func start() async {
    let called = CommandLine.arguments.first?.split(separator: "/").last.map(String.init) ?? ""
    let arguments = Array(CommandLine.arguments.dropFirst())
    if let status = await run(called, arguments) { exit(status) }
    if let word = arguments.first, let status = await run(word, Array(arguments.dropFirst())) { exit(status) }
    await runAgent(arguments)
  }

  /// Runs the program of that name, unless it is the agent.
  /// - Returns: its exit status; nil for a name that is none of theirs.
  private static func run(_ name: String, _ arguments: [String]) async -> Int32? {
    if name == "hacheck" {
      return await HacheckProgram.run(arguments: arguments) { level in
        AgentLog.bootstrap(agent: "hacheck", format: .text, level: level)
      }
    }
    switch name {
    case "configure_nerve", "configure": return await run(ConfigureCommand.self, arguments)
    case "status": return await run(StatusCommand.self, arguments)
    case "validate": return await run(ValidateCommand.self, arguments)
    default: break
    }
    if UpstreamTools.names.contains(name) {
      return await UpstreamTools.run(name: name, arguments: arguments) { StandardOutput.write($0, to: $1) }
    }
    guard HacheckTools.names.contains(name) else { return nil }
    let outcome = await HacheckTools.run(
      name: name, arguments: arguments, environment: environment(), isTerminal: isatty(STDOUT_FILENO) == 1)
    StandardOutput.write(outcome.output, to: STDOUT_FILENO)
    StandardOutput.write(outcome.errorOutput, to: STDERR_FILENO)
    return outcome.exitCode
  }

  /// Who calls, for the reasons of marks.
  private static func environment() -> [String: String] {
    var values: [String: String] = [:]
    for name in ["SUDO_USER", "SSH_USER", "USER"] { values[name] = getenv(name).map { String(cString: $0) } }
    return values
  }

  private static func runAgent(_ arguments: [String]) async -> Never {
    exit(await run(AgentCommand.self, arguments))
  }

  /// Runs a command.
  /// - Returns: its exit status. Usage errors are 2, as the original programs' are; other failures 1.
  private static func run<Command: AsyncParsableCommand>(_ type: Command.Type, _ arguments: [String]) async -> Int32 {
    do {
      var command = try Command.parse(arguments)
      do {
        try await command.run()
        return 0
      } catch let code as ExitCode {
        return code.rawValue
      } catch {
        StandardOutput.write("nerve: \(error)\n", to: STDERR_FILENO)
        return 1
      }
    } catch {
      let text = Command.fullMessage(for: error)
      guard Command.exitCode(for: error) != .success else {
        print(text)
        return 0
      }
      StandardOutput.write(text + "\n", to: STDERR_FILENO)
      return 2
    }
  }
}
