internal import AgentKit
internal import Glibc
public import Reactor

/// Commands for operators and deploy scripts with the originals' arguments: `updown_service` and `clean_nerve`.
@LoopActor public enum UpstreamTools {
  /// The commands' names.
  public nonisolated static let names = ["updown_service", "clean_nerve"]

  /// Runs one command to its end.
  /// - Parameters:
  ///   - name: one of ``names``.
  ///   - arguments: without the command's name.
  /// - Returns: 0; 1 when what was asked for did not come about; 2 for a wrong command line.
  public static func run(name: String, arguments: [String], output: @escaping ToolOutput) async -> Int32 {
    let environment = ProcessEnvironment.current
    do throws(ToolUsage) {
      if name == "clean_nerve" {
        return await CleanNerve(try CleanArguments(arguments), environment: environment, output: output).run()
      }
      return await UpdownRun(try UpdownArguments(arguments), environment: environment, output: output).run()
    } catch {
      switch error {
      case .help(let text):
        output(text, STDOUT_FILENO)
        return 0
      case .wrong(let text):
        output(text, STDERR_FILENO)
        return 2
      }
    }
  }
}
