internal import Reactor

/// Receives a command's words: text, and the descriptor (standard output or error).
typealias CommandOutput = @LoopActor (_ text: String, _ descriptor: Int32) -> Void

/// Reason why a command line is not carried out.
public enum CommandUsage: Error, Equatable {
  /// Help or the version was requested: the text for the standard output.
  case text(String)
  /// The command line is wrong: what is wrong with it.
  case wrong(String)

  /// The text for the standard error of the command `name`.
  static func complaint(_ problem: String, of name: String) -> String {
    "\(name): \(problem)\nRun '\(name) --help' for usage.\n"
  }
}
