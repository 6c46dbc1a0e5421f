public import Reactor

/// Whether a program would run as this process does: asked before it takes this process's place.
@LoopActor public enum ProgramTrial {
  private static let limit = Duration.seconds(30)

  /// Has `executable` read the configuration that this process was started with, by `--check-config`. What it would
  /// leave out would be lost by the replacement.
  /// - Returns: what speaks against it; nil when nothing does.
  public static func refusal(of executable: String) async -> String? {
    do {
      let arguments = Array(CommandLine.arguments.dropFirst()) + ["--check-config"]
      let result = try await ChildProcess.run(executable, arguments, deadline: limit)
      if result.status == .exited(0) { return nil }
      let words = String(decoding: (result.output + result.errorOutput).suffix(500), as: UTF8.self)
      return "its --check-config ended with \(result.status): \(words)"
    } catch {
      return "\(error)"
    }
  }
}
