internal import Reactor
internal import SmartStack
internal import YAMLConfig

/// Healthy when a command exits with status 0 in time; the first line that it prints says why, in the log.
///
/// Each check runs one command at a time, and all checks together a bounded number: waiting to be admitted does not
/// count as failure.
@LoopActor final class ExecProbe: Probe {
  /// Bytes of a command's output that are kept.
  private static let outputLimit = 4096
  /// Characters of its first line that go into the log.
  private nonisolated static let excerpt = 200

  private let settings: Settings
  private let context: ProbeContext
  private let environment: [String: String]
  /// The last command; it may take some time to exit after its deadline.
  private var last: Task<Void, Never>?

  init(_ settings: Settings, in context: ProbeContext) {
    (self.settings, self.context) = (settings, context)
    environment = context.environment.merging(settings.variables) { $1 }
  }

  func run(deadline: Duration) async -> ProbeResult {
    await last?.value
    guard (try? await context.commands.acquire()) != nil else { return .failed("check stopped") }
    let finished = OneShotEvent<ProbeResult>()
    last = Task.immediate { @LoopActor [commands = context.commands] in
      finished.happen(with: await runCommand(deadline: deadline))
      commands.release()
    }
    return (try? await withDeadline(after: deadline, clock: context.clock) { try await finished.wait() })
      ?? .failed("no end after \(deadline)")
  }

  private func runCommand(deadline: Duration) async -> ProbeResult {
    do {
      let child = try await ChildProcess.run(
        settings.command[0], arguments: Array(settings.command.dropFirst()), environment: environment,
        deadline: deadline,
        outputLimit: ExecProbe.outputLimit)
      let line = ExecProbe.firstLine(child.output) ?? ExecProbe.firstLine(child.errorOutput)
      let words = line.map { "\(child.status): \($0)" } ?? "\(child.status)"
      return child.status == .exited(0) ? .healthy(words) : .refused(words)
    } catch {
      return ProbeResult(error)
    }
  }

  private nonisolated static func firstLine(_ output: [UInt8]) -> String? {
    String(decoding: output, as: UTF8.self).firstLine(limit: excerpt)
  }
}

extension ExecProbe {
  /// The command that nerve's exec check runs.
  struct Settings: ProbeSettings {
    /// Program and arguments; at least one.
    let command: [String]
    /// `NERVE_SERVICE`, `NERVE_CHECK`, `NERVE_HOST`, `NERVE_PORT`.
    let variables: [String: String]
    /// A program may take longer to start than a connection to open.
    var deadline = Duration.seconds(5)

    @LoopActor func probe(in context: ProbeContext) -> any Probe { ExecProbe(self, in: context) }
  }
}

extension ExecProbe.Settings {
  init(_ section: ConfigSection, target: ProbeTarget) throws(ConfigError) {
    let node = try section.required("command")
    let words = try node.strings()
    guard let program = words.first, !program.isEmpty else {
      throw section.error(at: "command", "a program and its arguments, or a line for the shell, is needed")
    }
    guard !words.contains(where: { $0.utf8.contains(0) }) else {
      throw section.error(at: "command", "holds a zero byte, which no argument can")
    }
    // One text is a line for the shell, a list is run as it stands.
    let isLine = (try? node.string()) != nil
    command = isLine ? ["/bin/sh", "-c", program] : words
    variables = [
      "NERVE_SERVICE": target.service, "NERVE_CHECK": target.check, "NERVE_HOST": target.host,
      "NERVE_PORT": String(target.port),
    ]
    deadline = try section.probeTimeout(default: deadline)
  }
}
