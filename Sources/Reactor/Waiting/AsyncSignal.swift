/// Tells one waiting task that there is something to do: several calls before it looks are one.
///
/// A set signal is remembered until the task waits for it. Cancellation does not end the waiting: what stops the
/// task changes its state and sets the signal.
@LoopActor public final class AsyncSignal {
  /// How long the signal holds back after ``set()``, so that a burst of changes is one: a burst is over after `quiet`
  /// without a further call, or `limit` after its first call.
  public typealias Debounce = (quiet: Duration, limit: Duration)

  private let clock: LoopClock
  private let debounce: Debounce?
  private var isSet = false
  private var waiting: CheckedContinuation<Void, Never>?
  private var burstStart: LoopClock.Instant?
  private var burst: LoopTimer?
  private var due: LoopClock.Instant?
  private var appointment: LoopTimer?

  /// Creates a signal that is not set.
  public init(clock: LoopClock = .system, debounce: Debounce? = nil) {
    self.clock = clock
    self.debounce = debounce
  }

  isolated deinit {
    burst?.cancel()
    appointment?.cancel()
  }

  /// Sets the signal; at the end of the burst if it has a debounce.
  public func set() {
    guard let debounce, !isSet else { return fire() }
    let now = clock.now
    let start = burstStart ?? now
    burstStart = start
    burst?.cancel()
    burst = clock.schedule(after: min(debounce.quiet, start + debounce.limit - now)) { [weak self] in self?.fire() }
  }

  /// Makes an appointment: the signal is set after `delay` at the latest. An earlier appointment stands.
  public func set(after delay: Duration) {
    let due = clock.now + delay
    if let appointed = self.due, appointed <= due { return }
    appointment?.cancel()
    self.due = due
    appointment = clock.schedule(after: delay) { [weak self] in
      self?.cancelAppointment()
      self?.set()
    }
  }

  /// Forgets the appointment; a signal that is set stays set.
  public func cancelAppointment() {
    appointment?.cancel()
    appointment = nil
    due = nil
  }

  /// Waits until the signal is set, and clears it. One task at a time may wait.
  public func wait() async {
    if !isSet {
      precondition(waiting == nil, "two tasks wait for one signal")
      await withCheckedContinuation { waiting = $0 }
    }
    isSet = false
  }

  private func fire() {
    burst?.cancel()
    burst = nil
    burstStart = nil
    isSet = true
    waiting?.resume()
    waiting = nil
  }
}
