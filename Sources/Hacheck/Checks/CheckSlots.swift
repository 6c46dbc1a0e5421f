internal import Reactor

/// Limits the live checks under way: a number per host and port, and a generous number in all.
///
/// A hung service fills its own slots only; checks of other services do not wait for it. Only when hung services fill
/// all slots do others wait, and then each target in turn.
@LoopActor final class CheckSlots {
  /// Targets that keep their semaphore while nobody checks them, so that it is not made for each check.
  private static let keptTargets = 256

  private let perTarget: Int
  private let all: AsyncSemaphore
  private let clock: LoopClock
  private var targets: [Endpoint: AsyncSemaphore] = [:]

  /// Number of checks that wait for a slot.
  private(set) var waitingCount = 0
  /// Number of checks under way.
  var busyCount: Int { all.acquiredCount }

  init(perTarget: Int, inAll: Int, clock: LoopClock) {
    self.perTarget = perTarget
    self.clock = clock
    all = AsyncSemaphore(limit: inAll)
  }

  /// Waits for a slot at `target`; false if none was free within `limit`. Every true is paid back with
  /// ``release(_:)``.
  func acquire(_ target: Endpoint, within limit: Duration) async -> Bool {
    let own = targets[target] ?? AsyncSemaphore(limit: perTarget)
    targets[target] = own
    if own.tryAcquire() {
      if all.tryAcquire() { return true }
      own.release()
    }
    waitingCount += 1
    defer { waitingCount -= 1 }
    let admitted = try? await withDeadline(after: limit, clock: clock) { [all] in
      try await own.acquire()
      do {
        try await all.acquire()
      } catch {
        own.release()
        throw error
      }
      return true
    }
    if admitted != true { forgetIfIdle(target) }
    return admitted == true
  }

  /// Gives a slot back, to the first check that waits and may have it.
  func release(_ target: Endpoint) {
    // In this order other targets that wait go before this one's next check.
    all.release()
    targets[target]?.release()
    forgetIfIdle(target)
  }

  private func forgetIfIdle(_ target: Endpoint) {
    guard targets.count > CheckSlots.keptTargets, let own = targets[target] else { return }
    if own.acquiredCount == 0, own.waitingCount == 0 { targets[target] = nil }
  }
}
