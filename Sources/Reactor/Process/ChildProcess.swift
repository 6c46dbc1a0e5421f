internal import CEvent
internal import Glibc

/// How a child process ended and what it said.
public struct ChildResult: Equatable, Sendable {
  /// The way it ended.
  public enum Status: Equatable, Sendable, CustomStringConvertible {
    /// By itself, with this exit status.
    case exited(Int32)
    /// By this signal, not sent because of the deadline.
    case signalled(Int32)
    /// Ended by us at the deadline.
    case timedOut
    /// Ended; another part of the process was told how.
    case lost

    /// Words for the log.
    public var description: String {
      switch self {
      case .exited(let code): "exit status \(code)"
      case .signalled(let number): "ended by signal \(number)"
      case .timedOut: "stopped at its deadline"
      case .lost: "ended, and the system does not say how"
      }
    }
  }

  /// The way it ended.
  public var status: Status
  /// Standard output, up to the limit.
  public var output: [UInt8]
  /// Standard error, up to the limit.
  public var errorOutput: [UInt8]
  /// Whether either was longer.
  public var isTruncated: Bool
  /// From start to end.
  public var elapsed: Duration
}

/// Starts programs.
///
/// A child inherits three descriptors and no others, default signal dispositions, and is the leader of a process
/// group of its own. Only our own children are ever reaped, by their ids.
/// A child goes on when its value is let go of; its end is then still reaped.
@LoopActor public final class ChildProcess {
  /// How long children get between SIGTERM and SIGKILL.
  public static let grace: Duration = .seconds(2)

  /// Runs a program to its end.
  ///
  /// At the deadline, or when the task is cancelled, its whole group gets SIGTERM and, 2 s later or as soon as the
  /// program itself has ended, SIGKILL. What its descendants write after its own end is not waited for.
  /// - Parameters:
  ///   - executable: a path, or a name looked up in this process's PATH.
  ///   - arguments: without the program's own name.
  ///   - environment: nil passes on this process's.
  ///   - workingDirectory: nil stays where this process is.
  ///   - input: its standard input; empty is `/dev/null`.
  ///   - deadline: until it is stopped.
  ///   - outputLimit: bytes kept of standard output and of standard error, each; more is read and dropped.
  /// - Throws: ``FileError`` when it cannot be started, or `CancellationError`.
  public static func run(
    _ executable: String, arguments: [String], environment: [String: String]? = nil,
    workingDirectory: String? = nil, input: [UInt8] = [], deadline: Duration, outputLimit: Int = 64 << 10
  ) async throws -> ChildResult {
    let start = LoopClock.system.now
    let (outputPipe, errorPipe) = (try Pipe(), try Pipe())
    let inputPipe = input.isEmpty ? nil : try Pipe()
    var spawn = SpawnRequest(executable: executable, arguments: arguments)
    spawn.environment = environment
    spawn.workingDirectory = workingDirectory
    if let inputPipe { spawn.input = .descriptor(inputPipe.reading) }
    spawn.output = .descriptor(outputPipe.writing)
    spawn.errorOutput = .descriptor(errorPipe.writing)
    let child = try ChildProcess(spawn)
    let output = PipeReader(outputPipe, keeping: outputLimit)
    let errorOutput = PipeReader(errorPipe, keeping: outputLimit)
    let writer = inputPipe.map { PipeWriter($0, writing: input) }
    let timer = LoopClock.system.schedule(after: deadline) { child.stop() }
    defer {
      timer.cancel()
      writer?.close()
    }
    let status = try await child.waitOrStop()
    output.drain()
    errorOutput.drain()
    return ChildResult(
      status: status, output: output.bytes, errorOutput: errorOutput.bytes,
      isTruncated: output.isTruncated || errorOutput.isTruncated, elapsed: LoopClock.system.now - start)
  }

  // MARK: One child

  /// Its process id, and its process group's.
  public let pid: Int32
  /// How it ended; nil while it runs.
  public private(set) var status: ChildResult.Status?

  private var exitEvent: EventSource?
  private let ended = OneShotEvent<ChildResult.Status>()
  private var killTimer: LoopTimer?
  private var isStopping = false

  /// Those that have not ended, by their ids.
  private static var running: [Int32: ChildProcess] = [:]

  /// Ends every child of this process: SIGTERM, and SIGKILL after the grace time. For a program that takes this one's
  /// place: it would not know them, and their commands would never be ended.
  public static func endAll() async {
    for child in running.values { child.stop() }
    for child in running.values { _ = await child.ended.outcome() }
  }

  /// Starts a program; its output is the caller's business.
  /// - Throws: ``FileError`` when it cannot be started.
  package init(_ request: SpawnRequest) throws(FileError) {
    pid = try request.start()
    ChildProcess.running[pid] = self
    let descriptor = smartstack_pidfd_open(pid)
    guard descriptor >= 0 else {
      lookNowAndThen()
      return
    }
    // The cycle through the event keeps this object until the child has ended.
    exitEvent = EventSource(reading: descriptor) {
      guard self.reap() else { return }
      self.exitEvent?.cancel()
      self.exitEvent = nil
      close(descriptor)
    }
  }

  /// Sends a signal to the whole group; nothing happens once the child has ended.
  public func signal(_ number: Int32) {
    if status == nil { Glibc.kill(-pid, number) }
  }

  /// Asks the group to end: SIGTERM.
  public func terminate() { signal(SIGTERM) }

  /// Ends the group: SIGKILL.
  public func kill() { signal(SIGKILL) }

  /// Waits for the child's end; any number of callers may, also afterwards.
  /// - Throws: `CancellationError` when the task is cancelled; the child goes on.
  public func wait() async throws -> ChildResult.Status { try await ended.wait() }

  /// SIGTERM now, SIGKILL after the grace time or as soon as the child itself has ended.
  func stop() {
    guard status == nil, !isStopping else { return }
    isStopping = true
    terminate()
    killTimer = LoopClock.system.schedule(after: ChildProcess.grace) { self.kill() }
  }

  func waitOrStop() async throws -> ChildResult.Status {
    do {
      return try await wait()
    } catch {
      stop()
      throw error
    }
  }

  private func reap() -> Bool {
    guard status == nil else { return true }
    var information = siginfo_t()
    // Look without reaping: while the leader is a zombie, its id cannot be another group's.
    if waitid(P_PID, id_t(pid), &information, WEXITED | WNOHANG | WNOWAIT) != 0 {
      guard errno == ECHILD else { return false }
      // Somebody else has reaped it: it has ended, and nobody can say how.
      status = .lost
    } else {
      guard information.si_signo == SIGCHLD else { return false }
      if isStopping { Glibc.kill(-pid, SIGKILL) }
      var raw: Int32 = 0
      guard waitpid(pid, &raw, WNOHANG) == pid else { return false }
      let number = raw & 0x7f
      status = isStopping ? .timedOut : number == 0 ? .exited(raw >> 8 & 0xff) : .signalled(number)
    }
    ChildProcess.running[pid] = nil
    killTimer?.cancel()
    if let status { ended.happen(with: status) }
    return true
  }

  /// Where the kernel has no pidfd: look every 20 ms.
  private func lookNowAndThen() {
    LoopClock.system.schedule(after: .milliseconds(20)) { if !self.reap() { self.lookNowAndThen() } }
  }
}
