internal import Logging
internal import Reactor
internal import SmartStack

/// Measures how late the event loop runs what is due, and reports each time that it stood still. Everything in an agent
/// waits for the loop: checks, drains, signals, the service manager's watchdog.
@LoopActor final class StallDetector {
  private static let interval = Duration.milliseconds(500)
  /// A shorter delay is not reported.
  private static let limit = Duration.seconds(1)

  private let logger: Logger
  private let lag: Histogram
  private var usage = StallDetector.currentUsage
  private var ticker: Ticker?
  private var ticks = 0
  /// The tick by which tasks have waited for something.
  private static let settledTick = 4

  init(logger: Logger, metrics: Metrics) {
    self.logger = logger
    lag = metrics.histogram(
      "smartstack_loop_lag_seconds", help: "How late the event loop was, twice a second: everything waits for it.")
    metrics.onRender { metrics in
      for kind in BlockingWork.kinds {
        let (backlog, labels) = (kind.backlog, ["kind": kind.name])
        metrics.gauge(
          "smartstack_blocking_work", labels: labels, help: "Pieces of work beside the event loop that wait or run."
        ).value = Double(backlog.count)
        metrics.gauge(
          "smartstack_blocking_work_age_seconds", labels: labels, help: "For how long the oldest of them has done so."
        ).value = backlog.age / .seconds(1)
      }
    }
    ticker = Ticker(every: StallDetector.interval) { [weak self] lateness in self?.ticked(lateness) }
  }

  private func ticked(_ lateness: Duration) {
    lag.observe(lateness)
    ticks += 1
    if ticks == StallDetector.settledTick, !EventLoop.shared.resumesTasks {
      logger.warning(
        "event loop not asked for resumed tasks",
        with: [.reason: "this Swift runtime lacks the hook for it; each wait costs two thread switches more"])
    }
    let (before, now) = (usage, StallDetector.currentUsage)
    usage = now
    guard lateness > StallDetector.limit else { return }
    let reason = StallDetector.reason(
      lateness: lateness, computed: now.computed - before.computed, waited: now.waited - before.waited)
    logger.warning("event loop stood still", with: [.elapsed: lateness, .reason: reason])
  }

  /// What the loop's thread did while it was late, as far as the kernel tells.
  static func reason(lateness: Duration, computed: Duration, waited: Duration) -> String {
    if computed > lateness / 2 { return "it computed for \(computed)" }
    if waited > lateness / 2 { return "it waited \(waited) for a processor" }
    return "it was stopped, or waited in a system call"
  }

  /// How long this thread has computed, and waited for a processor.
  private static var currentUsage: (computed: Duration, waited: Duration) {
    let text = String(decoding: (try? Files.read("/proc/thread-self/schedstat", limit: 256)) ?? [], as: UTF8.self)
    let figures = text.split(whereSeparator: \.isWhitespace).compactMap { Int64($0) }
    guard figures.count >= 2 else { return (.zero, .zero) }
    return (.nanoseconds(figures[0]), .nanoseconds(figures[1]))
  }
}
