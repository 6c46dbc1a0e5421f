internal import Glibc
public import Reactor
internal import SmartStack

/// Directory of the state that the next run needs: saved sessions, the instance lock.
///
/// `state_dir` of the configuration, else systemd's RUNTIME_DIRECTORY, else `/run/<agent>`.
public struct StateDirectory: Sendable {
  /// Absolute or relative path of the directory.
  public let path: String
  /// Reason why the directory cannot be used; nil when it can.
  public let problem: FileError?

  /// Makes the directory (0750) if need be and tries whether it can be written.
  public init(configured: String?, agent: String, environment: [String: String] = ProcessEnvironment.current) {
    path = StateDirectory.path(configured, agent: agent, environment: environment)
    do throws(FileError) {
      try Files.makeDirectory(path, mode: 0o750)
      guard access(path, W_OK | X_OK) == 0 else { throw FileError("write to", path: path, code: errno) }
      problem = nil
    } catch {
      problem = error
    }
  }

  /// The directories in which a running agent may be found: the configured one, and the usual one, where it is if that
  /// was changed since its start.
  public static func candidates(
    configured: String?, agent: String, environment: [String: String] = ProcessEnvironment.current
  ) -> [String] {
    let usual = path(nil, agent: agent, environment: environment)
    return configured.map { $0 == usual ? [usual] : [$0, usual] } ?? [usual]
  }

  private static func path(
    _ configured: String?, agent: String, environment: [String: String]
  ) -> String {
    // RUNTIME_DIRECTORY may list several, separated by colons; the first is ours.
    let given = environment["RUNTIME_DIRECTORY"]?.split(separator: ":").first.map(String.init)
    return configured ?? given ?? "/run/\(agent)"
  }

  /// The path of a file called `name` in it; bytes that have a meaning in paths are replaced. nil if the
  /// directory cannot be used.
  public func path(for name: String) -> String? {
    problem == nil ? StateDirectory.fileName(name, in: path) : nil
  }

  /// Returns the name of a file in another agent's directory.
  public static func fileName(_ name: String, in directory: String) -> String { directory + "/" + name.escapedFileName }
}
