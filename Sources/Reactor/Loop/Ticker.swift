/// Calls a body every `interval`, at a fixed phase, and says how late each call was.
///
/// Calls do not pile up: when the loop was held up for several intervals, the missed ones are skipped
/// and the phase is kept.
@LoopActor public final class Ticker {
  private let clock: LoopClock
  private let interval: Duration
  /// nil once cancelled, so that a body may hold its own ticker.
  private var body: (@LoopActor (_ lateness: Duration) -> Void)?
  private var due: LoopClock.Instant
  private var timer: LoopTimer?

  /// - Parameters:
  ///   - interval: between two calls; more than zero.
  ///   - phase: delay before the first call.
  ///   - body: gets how long after its time it is called.
  public convenience init(
    every interval: Duration, phase: Duration = .zero, clock: LoopClock = .system,
    _ body: @escaping @LoopActor (_ lateness: Duration) -> Void
  ) {
    self.init(every: interval, from: clock.now + phase, clock: clock, body)
  }

  /// - Parameters:
  ///   - interval: between two calls; more than zero.
  ///   - first: the moment of the first call. Tickers with a moment in common share the wake-up of the process.
  ///   - body: gets how long after its time it is called.
  public init(
    every interval: Duration, from first: LoopClock.Instant, clock: LoopClock = .system,
    _ body: @escaping @LoopActor (_ lateness: Duration) -> Void
  ) {
    precondition(interval > .zero, "a ticker needs a positive interval")
    self.clock = clock
    self.interval = interval
    self.body = body
    due = first
    arm()
  }

  isolated deinit { timer?.cancel() }

  /// Stops; no further event is delivered.
  public func cancel() {
    timer?.cancel()
    timer = nil
    body = nil
  }

  private func arm() {
    timer = clock.schedule(after: due - clock.now) { [weak self] in self?.tick() }
  }

  private func tick() {
    let lateness = max(.zero, clock.now - due)
    let missed = (lateness / interval).rounded(.down)
    due += interval * Int(missed + 1)
    arm()
    body?(lateness)
  }
}
