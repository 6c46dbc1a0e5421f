internal import Reactor

/// Wakes one waiting task; a set signal is remembered until somebody waits for it.
@LoopActor final class WorkSignal {
  private let clock: LoopClock
  private var isSet = false
  private var waiting: CheckedContinuation<Void, Never>?
  private var timer: LoopTimer?

  init(clock: LoopClock) { self.clock = clock }

  /// Something is to do.
  func set() {
    isSet = true
    wake()
  }

  /// Something is to do at the latest after `delay`; an earlier appointment stands.
  func set(after delay: Duration) {
    let due = clock.now + delay
    if let timer, timer.isPending, self.due <= due { return }
    timer?.cancel()
    self.due = due
    timer = clock.schedule(after: delay) { [weak self] in self?.set() }
  }
  private var due = ContinuousClock.now

  /// Returns once the signal is set, and clears it.
  func wait() async {
    if !isSet { await withCheckedContinuation { waiting = $0 } }
    isSet = false
  }

  /// Forgets the appointment.
  func cancelAppointment() { timer?.cancel() }

  private func wake() {
    let continuation = waiting
    waiting = nil
    continuation?.resume()
  }
}
