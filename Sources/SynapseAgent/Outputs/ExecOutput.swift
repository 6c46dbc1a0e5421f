internal import Logging
internal import Reactor
internal import SmartStack

/// Settings of the `exec_output` section.
struct ExecOutputConfiguration: Hashable, Sendable {
  /// The program and its arguments, at least one word; a command given as one text is the shell's.
  var command: [String]
  /// How long one run may take, in which it is to read all of its input.
  var deadline: Duration = .seconds(30)
  /// From the start of one run to the start of the next: changes in between are one run.
  var interval: Duration = .seconds(1)
}

/// Runs a command after changes and notifies it, on its standard input, of what the changed services are now.
///
/// The input is one JSON object: a service's name and the list of its servers, as in the files of ``FileOutput``; null
/// for a service that it knows and that is no longer configured. The first run receives every service. There is one run
/// at a time; what changes meanwhile is for the next. A run that fails is repeated with growing delays, with everything
/// that it received and what has changed since.
@LoopActor final class ExecOutput: ConfigGenerator {
  /// How long a run may go on once the output is to stop, before it is stopped, too.
  private static let farewell: Duration = .seconds(3)

  let configuration: ExecOutputConfiguration
  private var services: Set<String>
  private let clock: LoopClock
  private let logger: Logger
  private let work: AsyncSignal
  private let retrying = RetryPolicy(base: .seconds(1), limit: .seconds(60))
  /// What there is to know: JSON text by service.
  private var current: [String: String] = [:]
  /// What the command knows for certain.
  private var notified: [String: String] = [:]
  private var failures = 0
  private var isStopped = false
  private var task: Task<Void, Never>?

  init(
    _ configuration: ExecOutputConfiguration, services: Set<String>, clock: LoopClock, logger: Logger
  ) {
    self.configuration = configuration
    self.services = services
    self.clock = clock
    self.logger = logger
    work = AsyncSignal(clock: clock)
  }

  /// Other services from now on; the command is notified of those that are no longer among them.
  func replaceServices(_ services: Set<String>) {
    self.services = services
    for name in current.keys where !self.services.contains(name) { current[name] = "null" }
    work.set()
  }

  func apply(_ snapshots: [ServiceSnapshot]) {
    for snapshot in snapshots where services.contains(snapshot.service) {
      current[snapshot.service] = FileOutput.json(snapshot.backends)
    }
    work.set()
  }

  func start() { task = Task { @LoopActor [weak self] in await self?.run() } }

  func stop() async {
    isStopped = true
    work.set()
    let timer = clock.schedule(after: ExecOutput.farewell) { [task] in task?.cancel() }
    await task?.value
    timer.cancel()
  }

  private func run() async {
    while !isStopped {
      await work.wait()
      // A change does not hurry a command that has just run, or has just failed.
      if let pause, !isStopped {
        work.set(after: pause)
        continue
      }
      await notify()
    }
    // The last word.
    if !Task.isCancelled { await notify() }
    work.cancelAppointment()
  }

  private var notBefore: LoopClock.Instant?
  private var pause: Duration? {
    guard let notBefore, notBefore > clock.now else { return nil }
    return notBefore - clock.now
  }

  private func notify() async {
    let pending = current.filter { notified[$0.key] != $0.value }
    if pending.isEmpty { return }
    notBefore = clock.now + configuration.interval
    do {
      let result = try await ChildProcess.run(
        configuration.command[0], arguments: Array(configuration.command.dropFirst()), input: ExecOutput.input(pending),
        deadline: configuration.deadline)
      guard result.status == .exited(0) else {
        let line = String(decoding: result.errorOutput, as: UTF8.self).lines.last { !$0.isEmpty }
        return retry(pending, because: "\(result.status)" + (line.map { ": \(String($0).oneLine(limit: 200))" } ?? ""))
      }
      notified.merge(pending) { _, new in new }
      logger.info("command notified", with: [.command: shown, .count: pending.count, .elapsed: result.elapsed])
      if failures > 0 { logger.notice("command succeeded again", with: [.command: shown, .attempt: failures]) }
      failures = 0
    } catch {
      retry(pending, because: "\(error)")
    }
  }

  private func retry(_ pending: [String: String], because reason: String) {
    // What it made of the input is anybody's guess.
    for name in pending.keys { notified[name] = nil }
    let delay = retrying.delay(attempt: failures)
    if failures == 0 {
      logger.error("command failed, retry scheduled", with: [.command: shown, .reason: reason, .delay: delay])
    }
    failures += 1
    notBefore = clock.now + delay
    work.set()
  }

  private var shown: String { configuration.command.joined(separator: " ") }

  /// One line of JSON, services in order.
  nonisolated static func input(_ services: [String: String]) -> [UInt8] {
    let members = services.sorted { $0.key < $1.key }.map { "\(JSONText.quoted($0.key)):\($0.value)" }
    return Array("{\(members.joined(separator: ","))}\n".utf8)
  }
}
