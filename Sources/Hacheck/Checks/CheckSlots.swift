internal import Reactor

/// Bounds the live checks under way: so many per host and port, and a generous number in all.
///
/// A hung service fills its own slots only; the others' checks do not wait for it. Only when hung services fill all
/// slots do others wait, and then each target in turn.
@LoopActor final class CheckSlots {
  private struct Waiting {
    let number: Int
    let continuation: CheckedContinuation<Bool, Never>
    let timer: LoopTimer
  }

  private let perTarget: Int
  private let inAll: Int
  private let clock: LoopClock
  private var busy: [Endpoint: Int] = [:]
  private var waiting: [Endpoint: [Waiting]] = [:]
  /// Targets with room of their own that wait because all slots are taken, the first to wait first.
  private var starved: [Endpoint] = []
  private var nextNumber = 0

  /// Checks that wait for a slot.
  private(set) var waitingCount = 0
  /// Checks under way.
  private(set) var busyCount = 0

  init(perTarget: Int, inAll: Int, clock: LoopClock) {
    self.perTarget = max(1, perTarget)
    self.inAll = max(1, inAll)
    self.clock = clock
  }

  /// Waits for a slot at `target`; false if none came free within `limit`. Every true is paid back with
  /// ``release(_:)``.
  func acquire(_ target: Endpoint, within limit: Duration) async -> Bool {
    if busyCount < inAll, busy[target, default: 0] < perTarget {
      take(target)
      return true
    }
    if busy[target, default: 0] < perTarget { starved.append(target) }
    return await withCheckedContinuation { continuation in
      nextNumber += 1
      let number = nextNumber
      let timer = clock.schedule(after: limit) { [weak self] in self?.giveUp(target, number) }
      waiting[target, default: []].append(Waiting(number: number, continuation: continuation, timer: timer))
      waitingCount += 1
    }
  }

  /// Gives a slot back, to the first that waits and may have it.
  func release(_ target: Endpoint) {
    busy[target] = busy[target].flatMap { $0 > 1 ? $0 - 1 : nil }
    busyCount -= 1
    while !starved.isEmpty, busyCount < inAll { startNext(starved.removeFirst()) }
    if busyCount < inAll { startNext(target) } else if waiting[target] != nil { starved.append(target) }
  }

  private func startNext(_ target: Endpoint) {
    guard busy[target, default: 0] < perTarget, let next = waiting[target]?.first else { return }
    forget(target, at: 0)
    next.timer.cancel()
    take(target)
    next.continuation.resume(returning: true)
  }

  private func take(_ target: Endpoint) {
    busy[target, default: 0] += 1
    busyCount += 1
  }

  private func giveUp(_ target: Endpoint, _ number: Int) {
    guard let index = waiting[target]?.firstIndex(where: { $0.number == number }),
      let entry = waiting[target]?[index]
    else { return }
    forget(target, at: index)
    entry.continuation.resume(returning: false)
  }

  private func forget(_ target: Endpoint, at index: Int) {
    waiting[target]?.remove(at: index)
    if waiting[target]?.isEmpty == true { waiting[target] = nil }
    waitingCount -= 1
  }
}
