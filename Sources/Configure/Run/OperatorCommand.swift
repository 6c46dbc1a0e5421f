internal import Reactor
internal import SmartStack

/// Runs a program that an operator named for a tool, such as `service synapse start`, with its arguments.
/// - Throws: for one that cannot be run, takes more than five minutes or ends with another status than 0. The file is in
///   place then, but the agent could not be notified.
@LoopActor func runOperatorCommand(_ words: [String]) async throws {
  guard let program = words.first else { return }
  let failure = { (reason: String) in
    OperatorError("`\(words.joined(separator: " "))`\(reason); the next run tries again")
  }
  let result: ChildResult
  do {
    result = try await ChildProcess.run(program, arguments: Array(words.dropFirst()), deadline: .seconds(300))
  } catch let error as FileError {
    throw failure(" cannot be run: \(error)")
  }
  guard result.status != .exited(0) else { return }
  throw failure(" failed (\(result.status))\(result.lastWords)")
}

extension ChildResult {
  /// What a program said last, with a colon in front; empty when it said nothing.
  var lastWords: String {
    let last = String(decoding: errorOutput + output, as: UTF8.self).lines.last { !$0.isEmpty }
    return last.map { ": \(String($0).oneLine())" } ?? ""
  }
}
