internal import Reactor

/// Lets a limited number of reads be on their way; the others wait in line.
@LoopActor final class ReadGate {
  /// Called with true when it may go ahead, with false when it will not; returns whether it did.
  typealias Entrant = @LoopActor (_ mayRead: Bool) -> Bool

  private let maximum: Int
  private var running = 0
  private var waiting: [Entrant] = []
  private var next = 0
  private var isAdmitting = false

  init(maximum: Int) { self.maximum = max(1, maximum) }

  /// Runs `entrant` now or when there is room.
  func enter(_ entrant: @escaping Entrant) {
    waiting.append(entrant)
    admit()
  }

  /// One that went ahead has its answer.
  func leave() {
    running -= 1
    admit()
  }

  /// Those in line give up; whoever sent them asks again after the next connect.
  func refuseWaiting() {
    let refused = waiting[next...]
    (waiting, next) = ([], 0)
    for entrant in refused { _ = entrant(false) }
  }

  /// A loop rather than a recursion: an entrant that fails at once leaves at once.
  private func admit() {
    guard !isAdmitting else { return }
    isAdmitting = true
    defer { isAdmitting = false }
    while running < maximum, next < waiting.count {
      let entrant = waiting[next]
      next += 1
      running += 1
      if !entrant(true) { running -= 1 }
    }
    if next == waiting.count { (waiting, next) = ([], 0) }
  }
}
