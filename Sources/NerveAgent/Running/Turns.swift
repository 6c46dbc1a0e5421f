internal import Reactor

/// Lets so many do something at once; the others wait their turn, the first to come first.
@LoopActor final class Turns {
  /// How many may have their turn at one time; at least 1.
  var limit: Int { didSet { callNext() } }
  private var busy = 0
  private var waiting: [CheckedContinuation<Void, Never>] = []

  init(_ limit: Int) { self.limit = limit }

  /// How many have their turn.
  var busyCount: Int { busy }

  /// Waits for a turn; each is paid back with ``give()``.
  func take() async {
    if busy < limit {
      busy += 1
    } else {
      await withCheckedContinuation { waiting.append($0) }
    }
  }

  /// Gives a turn back, to the first that waits.
  func give() {
    busy -= 1
    callNext()
  }

  private func callNext() {
    while busy < limit, !waiting.isEmpty {
      busy += 1
      waiting.removeFirst().resume()
    }
  }
}
