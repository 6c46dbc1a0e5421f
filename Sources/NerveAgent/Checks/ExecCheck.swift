internal import Reactor
internal import SmartStack

/// Healthy when a command ends with status 0 in time. What it prints first says why, in the log.
///
/// One command per check at a time, and so many of all checks together: waiting for a turn does not count as failure.
@LoopActor final class ExecCheck: HealthCheck {
  /// More of what a command prints is dropped.
  private static let outputLimit = 4096
  /// Characters of its first line that go into the log.
  private nonisolated static let excerpt = 200

  let name: String
  private let settings: ExecCheckSettings
  private let environment: [String: String]
  private let slots: AsyncSemaphore
  private let clock: LoopClock
  /// The last command; it may take some time to end after its deadline.
  private var last: Task<Void, Never>?

  /// - Parameters:
  ///   - environment: what the command gets besides the settings' own variables.
  ///   - slots: shared with all other commands.
  init(
    name: String, settings: ExecCheckSettings, environment: [String: String], slots: AsyncSemaphore, clock: LoopClock
  ) {
    self.name = name
    self.settings = settings
    self.environment = environment.merging(settings.variables) { $1 }
    self.slots = slots
    self.clock = clock
  }

  func probe(deadline: Duration) async -> CheckResult {
    await last?.value
    let waiting = clock.now
    guard (try? await slots.acquire()) != nil else {
      return CheckResult(passed: false, detail: "check stopped", elapsed: clock.now - waiting)
    }
    let started = clock.now
    let finished = OneShotEvent<CheckResult>()
    last = Task.immediate { @LoopActor [slots] in
      finished.happen(with: await run(within: deadline, since: started))
      slots.release()
    }
    return (try? await withDeadline(after: deadline, clock: clock) { try await finished.wait() })
      ?? CheckResult(passed: false, detail: "no end after \(deadline)", elapsed: clock.now - started)
  }

  private func run(within deadline: Duration, since started: LoopClock.Instant) async -> CheckResult {
    do {
      let child = try await ChildProcess.run(
        settings.command[0], arguments: Array(settings.command.dropFirst()), environment: environment,
        deadline: deadline,
        outputLimit: ExecCheck.outputLimit)
      let line = ExecCheck.firstLine(child.output) ?? ExecCheck.firstLine(child.errorOutput)
      return CheckResult(
        passed: child.status == .exited(0), detail: line.map { "\(child.status): \($0)" } ?? "\(child.status)",
        elapsed: clock.now - started)
    } catch {
      return CheckResult(passed: false, detail: "\(error)", elapsed: clock.now - started)
    }
  }

  nonisolated static func firstLine(_ output: [UInt8]) -> String? {
    String(decoding: output, as: UTF8.self).firstLine(limit: excerpt)
  }
}
