internal import Glibc
public import Reactor

/// The agent as a process: its signals, and what it tells the service manager.
///
/// SIGTERM and SIGINT stop it (once; a second one does nothing more), SIGHUP reloads its configuration, SIGUSR2
/// replaces its program by the one that is installed now.
@LoopActor public final class AgentProcess {
  private let manager: ServiceManager
  private let onReload: @LoopActor () -> Void
  private let onReplace: @LoopActor () -> Void
  private let onStop: @LoopActor () -> Void
  private var signals: [SignalSource] = []
  private var watchdog: Ticker?
  private let stopped = OneShotEvent<Void>()

  /// Whether a stop was asked for.
  public private(set) var isStopping = false

  /// Listens to the signals from now on.
  /// - Parameters:
  ///   - environment: where NOTIFY_SOCKET and WATCHDOG_USEC are looked for.
  ///   - onReload: runs for each SIGHUP.
  ///   - onReplace: runs for each SIGUSR2.
  ///   - onStop: runs once, before ``waitUntilStopped()`` returns.
  public init(
    environment: [String: String] = AgentProcess.environment,
    onReload: @escaping @LoopActor () -> Void, onReplace: @escaping @LoopActor () -> Void = {},
    onStop: @escaping @LoopActor () -> Void
  ) {
    manager = ServiceManager(environment: environment)
    self.onReload = onReload
    self.onReplace = onReplace
    self.onStop = onStop
    signals = [
      SignalSource(SIGHUP) { [weak self] in self?.reload() },
      SignalSource(SIGUSR2) { [weak self] in self?.replace() },
      SignalSource(SIGTERM) { [weak self] in self?.stop() },
      SignalSource(SIGINT) { [weak self] in self?.stop() },
    ]
    // The program before this one may have blocked them.
    ProcessImage.acceptSignals([SIGHUP, SIGUSR2, SIGTERM, SIGINT])
  }

  /// Tells the service manager that the agent serves, and keeps its watchdog fed from the event loop: a loop
  /// that hangs is what the watchdog is there to notice.
  public func ready() {
    manager.notify("READY=1")
    guard watchdog == nil, let interval = manager.watchdogInterval else { return }
    watchdog = Ticker(every: interval) { [manager] _ in manager.notify("WATCHDOG=1") }
  }

  /// Tells the service manager that a reload began; ``ready()`` ends it.
  public func reloading() { manager.notify("RELOADING=1\n" + ServiceManager.monotonicStamp()) }

  /// One line for `systemctl status`.
  public func status(_ line: String) {
    manager.notify("STATUS=" + String(line.map { $0.isNewline ? " " : $0 }))
  }

  /// Returns when a stop was asked for, by a signal or by ``stop()``.
  public func waitUntilStopped() async {
    if !isStopping { await stopped.outcome() }
  }

  /// What SIGTERM does.
  public func stop() {
    guard !isStopping else { return }
    isStopping = true
    manager.notify("STOPPING=1")
    onStop()
    stopped.happen()
  }

  private func replace() {
    if !isStopping { onReplace() }
  }

  private func reload() {
    if !isStopping { onReload() }
  }

  /// The process's environment.
  public nonisolated static var environment: [String: String] {
    var result: [String: String] = [:]
    var entry: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?> = environ
    while let text = entry.pointee {
      let parts = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      if parts.count == 2 { result[String(parts[0])] = String(parts[1]) }
      entry += 1
    }
    return result
  }
}
