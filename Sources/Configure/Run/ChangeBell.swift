public import Reactor

/// Wakes one waiting task a moment after things changed: a burst of changes is one.
@LoopActor public final class ChangeBell {
  /// Without a further change for this long, a burst is over…
  static let quiet = Duration.milliseconds(5)
  /// …and even if changes go on, nobody waits longer than this.
  static let patience = Duration.milliseconds(100)

  private let clock: LoopClock
  private var firstRing: LoopClock.Instant?
  private var timer: LoopTimer?
  private var isDue = false
  private var waiting: CheckedContinuation<Void, Never>?

  /// One that nobody has rung yet.
  public init(clock: LoopClock = .system) { self.clock = clock }

  /// Something changed.
  public func ring() {
    guard !isDue else { return }
    let now = clock.now
    let first = firstRing ?? now
    firstRing = first
    timer?.cancel()
    let delay = min(ChangeBell.quiet, first + ChangeBell.patience - now)
    timer = clock.schedule(after: delay) { [weak self] in self?.wake() }
  }

  /// Returns when a burst is over; at once if one was over since the last call.
  public func wait() async {
    if !isDue { await withCheckedContinuation { waiting = $0 } }
    isDue = false
  }

  private func wake() {
    firstRing = nil
    timer = nil
    isDue = true
    waiting?.resume()
    waiting = nil
  }
}
