internal import Glibc
public import Logging
public import Reactor
public import SmartStack

/// The agent as a process: its signals, its in-place upgrade, and what it reports to the service manager.
///
/// SIGTERM and SIGINT stop it (a second one has no effect), SIGHUP reloads its configuration, SIGUSR2 replaces its
/// program by the one that is installed now.
@LoopActor public final class AgentProcess {
  private let manager: ServiceManager
  private let logger: Logger
  private let onReload: @LoopActor () -> Void
  private let onStop: @LoopActor () -> Void
  private let onUpgrade: (@LoopActor () async -> InPlaceUpgradeState?)?
  private var signals: [EventSource] = []
  private var watchdog: Ticker?
  private let stalls: StallDetector
  private var isUpgrading = false
  /// Whether the agent has begun to hand over: a stop is then the next program's.
  private var isHandingOver = false
  private let stopped = OneShotEvent<Void>()

  /// Whether a stop was requested.
  public private(set) var isStopping = false

  /// Listens to the signals from now on.
  /// - Parameters:
  ///   - environment: has NOTIFY_SOCKET and WATCHDOG_USEC.
  ///   - metrics: receives how late the event loop is.
  ///   - onReload: runs for each SIGHUP.
  ///   - onUpgrade: runs for SIGUSR2 after the installed program has accepted the configuration: stops what cannot
  ///     continue and returns what the next program needs; nil when a stop was requested meanwhile. Without it SIGUSR2
  ///     has no effect.
  ///   - onStop: runs once, before ``waitUntilStopped()`` returns.
  public init(
    environment: [String: String] = ProcessEnvironment.current,
    logger: Logger = Logger(label: "process") { _ in SwiftLogNoOpLogHandler() }, metrics: Metrics = Metrics(),
    onReload: @escaping @LoopActor () -> Void, onUpgrade: (@LoopActor () async -> InPlaceUpgradeState?)? = nil,
    onStop: @escaping @LoopActor () -> Void = {}
  ) {
    manager = ServiceManager(environment: environment)
    stalls = StallDetector(logger: logger, metrics: metrics)
    metrics.addProcessMetrics()
    (self.logger, self.onReload, self.onUpgrade, self.onStop) = (logger, onReload, onUpgrade, onStop)
    // Read early: a package upgrade may move the file away.
    _ = ThisProcess.path
    signals = [
      EventSource(signal: SIGHUP) { [weak self] in self?.reload() },
      EventSource(signal: SIGUSR2) { [weak self] in self?.upgrade() },
      EventSource(signal: SIGTERM) { [weak self] in self?.stop() },
      EventSource(signal: SIGINT) { [weak self] in self?.stop() },
    ]
    // The program before this one may have blocked them.
    ThisProcess.acceptSignals([SIGHUP, SIGUSR2, SIGTERM, SIGINT])
  }

  /// Tells the service manager that the agent serves, and feeds its watchdog from the event loop: the watchdog is
  /// there to notice a loop that hangs.
  /// - Parameter stall: the reason why the agent, although its loop turns, does nothing any more: the watchdog is not fed
  ///   then, and the service manager starts the agent again.
  public func ready(stall: @escaping @LoopActor () -> String? = { nil }) {
    manager.notify("READY=1")
    guard watchdog == nil, let interval = manager.watchdogInterval else { return }
    watchdog = Ticker(every: interval) { [manager, logger] _ in
      if let reason = stall() {
        logger.error("service manager's watchdog not fed", with: [.reason: reason])
      } else {
        manager.notify("WATCHDOG=1")
      }
    }
  }

  /// Tells the service manager that a reload began; ``ready()`` ends it.
  public func reloading() { manager.notify("RELOADING=1\n" + ServiceManager.monotonicStamp()) }

  /// Waits until a stop is requested, by a signal or by ``stop()``.
  public func waitUntilStopped() async { await stopped.outcome() }

  /// Stops as SIGTERM does.
  public func stop() {
    guard !isStopping else { return }
    isStopping = true
    manager.notify("STOPPING=1")
    if !isHandingOver { endStop() }
  }

  private func endStop() {
    onStop()
    stopped.happen()
  }

  private func reload() {
    if !isStopping { onReload() }
  }

  // MARK: In-place upgrade

  private func upgrade() {
    guard !isStopping, !isUpgrading, let onUpgrade, let executable = ThisProcess.path else { return }
    isUpgrading = true
    Task { @LoopActor in
      await upgrade(to: executable, stateFrom: onUpgrade)
      isUpgrading = false
    }
  }

  private func upgrade(
    to executable: String, stateFrom onUpgrade: @LoopActor () async -> InPlaceUpgradeState?
  ) async {
    if let reason = await InPlaceUpgradeState.refusal(of: executable) {
      logger.error("in-place upgrade rejected", with: [.path: executable, .reason: reason])
      return
    }
    if isStopping { return }
    logger.notice("in-place upgrade started", with: [.path: executable])
    reloading()
    isHandingOver = true
    guard var state = await onUpgrade() else {
      isHandingOver = false
      if isStopping { endStop() }
      return
    }
    await ChildProcess.endAll()
    // From here on they wait for the next program; those that came before are known after a pass of the loop.
    ThisProcess.holdSignals([SIGHUP, SIGUSR2, SIGTERM, SIGINT])
    try? await LoopClock.system.sleep(for: .milliseconds(1))
    state.stops = isStopping
    do {
      try state.replaceProcess(by: executable)
    } catch {
      // This program has stopped what the next one continues: the supervisor's restart does that.
      logger.error("in-place upgrade failed, exiting for a restart", with: [.path: executable, .reason: error])
      exit(1)
    }
  }
}
