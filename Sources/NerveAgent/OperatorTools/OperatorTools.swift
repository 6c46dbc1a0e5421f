internal import AgentKit
internal import Glibc
internal import Hacheck
public import Reactor
internal import SmartStack

/// Commands for operators and deploy scripts with the originals' arguments: `updown_service` and `clean_nerve`.
@LoopActor public enum OperatorTools {
  /// The commands' names.
  public nonisolated static let names = ["updown_service", "clean_nerve"]

  /// Where a command's words go: text, and the descriptor (standard output or error).
  public typealias Output = @LoopActor (_ text: String, _ descriptor: Int32) -> Void

  /// Runs one command to its end.
  /// - Parameters:
  ///   - name: one of ``names``.
  ///   - arguments: without the command's name.
  /// - Returns: 0; 1 when what was asked for did not come about; 2 for a wrong command line.
  public static func run(name: String, arguments: [String], output: @escaping Output) async -> Int32 {
    let environment = AgentProcess.environment
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

/// Why a command line is not carried out.
enum ToolUsage: Error, Equatable {
  /// Help or the version was asked for; the text for the standard output.
  case help(String)
  /// It is not understood; the text for the standard error.
  case wrong(String)
}

/// What two commands have in common of their command lines, worded as the originals' library words it.
struct ToolLine {
  let name: String
  /// What follows the name: options and arguments.
  let usage: String
  let options: [CommandLineOptions.Option]

  func read(_ words: [String]) throws(ToolUsage) -> CommandLineOptions {
    do throws(CommandLineOptions.Problem) {
      return try CommandLineOptions(words, options)
    } catch {
      switch error {
      case .versionWanted: throw .help("\(name) \(Release.version)\n")
      case .helpWanted: throw .help(CommandLineOptions.help(usage: "\(name) \(usage)", options))
      case .wrong(let sentence): throw wrong(sentence)
      }
    }
  }

  func wrong(_ sentence: String) -> ToolUsage {
    .wrong("usage: \(name) \(usage)\n\(name): error: \(sentence)\n")
  }
}
