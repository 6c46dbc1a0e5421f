internal import ArgumentParser
internal import Glibc
internal import NerveAgent

/// What `--version` says.
let version = "0.1.0"

/// `nerve` is several programs: the name it is called by, or its first word, says which.
@main enum Main {
  static func main() async {
    await runAgent(Array(CommandLine.arguments.dropFirst()))
  }

  /// Runs the agent. Usage errors exit with 2, as the original programs' do; other failures with 1.
  private static func runAgent(_ arguments: [String]) async -> Never {
    do {
      let command = try AgentCommand.parse(arguments)
      do {
        try await command.run()
        exit(0)
      } catch let code as ExitCode {
        exit(code.rawValue)
      } catch {
        writeError("nerve: \(error)")
        exit(1)
      }
    } catch {
      let text = AgentCommand.fullMessage(for: error)
      guard AgentCommand.exitCode(for: error) != .success else {
        print(text)
        exit(0)
      }
      writeError(text)
      exit(2)
    }
  }
}
