internal import Reactor

/// Reminds watches to look at their path again some time from now, to the second, with one timer for all of them: a timer
/// for each of tens of thousands would be a good part of the agent's memory.
@LoopActor final class ReconcileWheel {
  /// For less than this a second is too coarse.
  static let leastDelay: Duration = .seconds(10)

  private let clock: LoopClock
  private let start: LoopClock.Instant
  private var slots: [Int: [@LoopActor (_ slot: Int) -> Void]] = [:]
  private var timer: LoopTimer?
  private var next = Int.max

  init(clock: LoopClock) {
    self.clock = clock
    start = clock.now
  }

  /// - Parameter remind: called with the slot when it has come; does not keep its watch alive.
  /// - Returns: the slot.
  func add(after delay: Duration, remind: @escaping @LoopActor (_ slot: Int) -> Void) -> Int {
    let slot = Int((clock.now + delay - start) / .seconds(1)) + 1
    slots[slot, default: []].append(remind)
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
      for remind in slots.removeValue(forKey: slot) ?? [] { remind(slot) }
    }
    if let slot = slots.keys.min(), slot < next { arm(slot) }
  }
}
