internal import Reactor

/// Reminds watches to look at their path again some time from now, to the second, with one timer for all of them: a timer
/// for each of tens of thousands would be a good part of the agent's memory.
@LoopActor final class ReconcileWheel {
  /// For less than this a second is too coarse.
  static let leastDelay: Duration = .seconds(10)

  private struct Entry {
    weak var watch: (any ReconcileTarget)?
  }

  private let clock: LoopClock
  private let start: LoopClock.Instant
  private var slots: [Int: [Entry]] = [:]
  private var timer: LoopTimer?
  private var next = Int.max

  init(clock: LoopClock) {
    self.clock = clock
    start = clock.now
  }

  /// - Returns: the slot, which the watch is told when it comes.
  func add(_ watch: any ReconcileTarget, after delay: Duration) -> Int {
    let slot = Int((clock.now + delay - start) / .seconds(1)) + 1
    slots[slot, default: []].append(Entry(watch: watch))
    if slot < next { arm(slot) }
    return slot
  }

  private func arm(_ slot: Int) {
    next = slot
    timer?.cancel()
    timer = clock.schedule(after: start + .seconds(slot) - clock.now) { [weak self] in self?.turn() }
  }

  private func turn() {
    let now = Int((clock.now - start) / .seconds(1))
    next = Int.max
    for slot in slots.keys.filter({ $0 <= now }).sorted() {
      for entry in slots.removeValue(forKey: slot) ?? [] { entry.watch?.reconcile(slot: slot) }
    }
    if let slot = slots.keys.min(), slot < next { arm(slot) }
  }
}

/// A watch that the wheel reminds.
@LoopActor protocol ReconcileTarget: AnyObject {
  /// Called when a slot has come; only the last one that the watch was given counts.
  func reconcile(slot: Int)
}
