internal import Reactor

/// Waits for something that cannot be interrupted, but no longer than a limit.
@LoopActor enum Deadline {
  /// Returns when `body` has finished or `limit` has passed; then `body` goes on by itself.
  static func run(_ limit: Duration, _ body: @escaping @LoopActor () async -> Void) async {
    let gate = Gate()
    let timer = LoopClock.system.schedule(after: limit) { gate.open() }
    Task.immediate {
      await body()
      gate.open()
    }
    await gate.wait()
    timer.cancel()
  }
}

/// Opens once; whoever waits goes on.
@LoopActor final class Gate {
  private var isOpen = false
  private var waiting: [CheckedContinuation<Void, Never>] = []

  func open() {
    isOpen = true
    let ready = waiting
    waiting = []
    for continuation in ready { continuation.resume() }
  }

  func wait() async {
    if isOpen { return }
    await withCheckedContinuation { waiting.append($0) }
  }
}
