internal import AgentKit
internal import Configure
internal import Glibc
internal import Reactor
internal import SmartStack

/// `smartstack-status`: what PaaSTA reports of services' replication, without PaaSTA.
@LoopActor enum SmartstackStatus {
  /// The exit status for what cannot be told; of a check also for a wrong command line.
  nonisolated static let unknown: Int32 = 3

  /// How the answer is given.
  enum Form: Sendable {
    /// PaaSTA's lines, for people.
    case text(isVerbose: Bool, inColor: Bool)
    /// One JSON object, for programs.
    case json
    /// For Nagios and Sensu.
    case check
  }

  /// Reports on all services.
  /// - Returns: 0 all is well; 1 it is not; ``unknown``. Of a check 0, 1 (a warning), 2 (critical) or 3.
  static func run(_ options: ReplicationOptions, as form: Form) async -> Int32 {
    let (reports, failures) = await ReplicationRun(options).reports()
    if case .check = form {
      // Monitoring shows the first line.
      for failure in failures { StandardOutput.write("UNKNOWN: \(failure)\n", to: STDOUT_FILENO) }
    } else {
      for failure in failures { complain(failure.description) }
    }
    if !reports.isEmpty || failures.isEmpty { print(reports, as: form) }
    let worst = reports.map(\.verdict).max() ?? .healthy
    guard case .check = form else { return failures.isEmpty ? (worst == .healthy ? 0 : 1) : unknown }
    // What is known to be bad is worse than what is not known.
    if worst == .critical { return 2 }
    return failures.isEmpty ? Int32(worst.rawValue) : unknown
  }

  /// Prints the constraints for a scheduler that follow from the services' levels, one line each, or one JSON object.
  /// - Returns: 0, or ``unknown``.
  static func constraints(_ options: ReplicationOptions, within: String?, asJSON: Bool) -> Int32 {
    let levels = NamespaceLevels(options, files: SourceFiles())
    var object = JSONObject()
    for name in options.services {
      do throws(CommandFailure) {
        object[name] = try levels.constraint(name, within: within)
      } catch {
        return complain("\(error)")
      }
    }
    let lines = asJSON ? [JSONValue.object(object).text()] : object.members.map { $0.value.text() }
    StandardOutput.write(lines.map { $0 + "\n" }.joined(), to: STDOUT_FILENO)
    return 0
  }

  private static func print(_ reports: [NamespaceReport], as form: Form) {
    let text =
      switch form {
      case .text(let isVerbose, let inColor):
        reports.flatMap { ReplicationText.lines($0, isVerbose: isVerbose, inColor: inColor) }.map { $0 + "\n" }.joined()
      case .json:
        JSONValue.object(["services": .array(reports.map(ReplicationText.json))]).text(JSONStyle(indent: 2)) + "\n"
      case .check: reports.map(ReplicationText.alert).joined()
      }
    StandardOutput.write(text, to: STDOUT_FILENO)
  }

  @discardableResult
  private static func complain(_ sentence: String) -> Int32 {
    StandardOutput.write("smartstack-status: \(sentence)\n", to: STDERR_FILENO)
    return unknown
  }
}
