internal import Reactor

/// Lets a limited number of paths be read at one time; the others wait in line, first come, first served.
///
/// Closures wait in it and no tasks: a waiting task costs two kilobytes, and at a cold start as many wait as there are
/// registrations.
@LoopActor final class ReadQueue {
  /// Told that its turn has come; answers whether it takes the turn.
  typealias Reader = @LoopActor () -> Bool

  private let limit: Int
  private var activeCount = 0
  /// The line from `next` on.
  private var line: [Reader] = []
  private var next = 0
  private var isServing = false

  init(limit: Int) { self.limit = limit }

  /// Waits for a turn, which may come before this call returns. A turn that was taken ends with ``leave()``.
  func enter(_ reader: @escaping Reader) {
    line.append(reader)
    serve()
  }

  /// Ends a turn that was taken.
  func leave() {
    activeCount -= 1
    serve()
  }

  private func serve() {
    // A read that fails at once ends its turn from within; the whole line may.
    guard !isServing else { return }
    isServing = true
    while activeCount < limit, next < line.count {
      let reader = line[next]
      next += 1
      activeCount += 1
      if !reader() { activeCount -= 1 }
    }
    isServing = false
    // Also under a load that never lets the line get empty, the served ones go.
    if next > line.count / 2 {
      line.removeSubrange(..<next)
      next = 0
    }
  }
}
