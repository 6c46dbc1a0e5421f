internal import Reactor
internal import SmartStack

/// Receives a command's words: text, and the descriptor (standard output or error).
public typealias ToolOutput = @LoopActor (_ text: String, _ descriptor: Int32) -> Void

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
