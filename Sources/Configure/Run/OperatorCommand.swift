public import Reactor

/// A program that an operator named for a tool to run, such as `service synapse start`.
public enum OperatorCommand {
  /// How long one may take.
  static let deadline = Duration.seconds(300)

  /// Runs a program with its arguments.
  /// - Throws: ``Failure`` for one that cannot be run or ends with another status than 0.
  @LoopActor public static func run(_ words: [String]) async throws {
    guard let program = words.first else { return }
    let result: ChildResult
    do {
      result = try await ChildProcess.run(program, arguments: Array(words.dropFirst()), deadline: deadline)
    } catch let error as FileError {
      throw Failure(command: words, reason: " cannot be run: \(error)")
    }
    guard result.status != .exited(0) else { return }
    throw Failure(command: words, reason: " failed (\(result.status))\(result.lastWords)")
  }

  /// The file is in place, but the agent could not be told.
  public struct Failure: Error, Equatable, CustomStringConvertible {
    let command: [String]
    let reason: String

    /// The command, what happened, and what happens next.
    public var description: String { "`\(command.joined(separator: " "))`\(reason); the next run tries again" }
  }
}

extension ChildResult {
  /// What a program said last, with a colon in front; empty when it said nothing.
  public var lastWords: String {
    let lines = String(decoding: errorOutput + output, as: UTF8.self).split(whereSeparator: \.isNewline)
    return lines.last.map { ": \($0)" } ?? ""
  }
}
