/// Bounds how many callers do something at one time; the others wait, first come first served.
@LoopActor public final class AsyncSemaphore {
  /// Callers admitted at one time; at least 1.
  public var limit: Int { didSet { admitNext() } }
  /// Callers admitted now.
  public private(set) var count = 0
  private var waiting: [CheckedContinuation<Void, Never>] = []

  /// A semaphore that admits `limit` callers.
  public nonisolated init(limit: Int) { self.limit = limit }

  /// Waits for admission; every call is paid back with ``release()``.
  public func acquire() async {
    if count < limit {
      count += 1
    } else {
      await withCheckedContinuation { waiting.append($0) }
    }
  }

  /// Ends one admission; the caller that has waited longest is next.
  public func release() {
    count -= 1
    admitNext()
  }

  private func admitNext() {
    while count < limit, !waiting.isEmpty {
      count += 1
      waiting.removeFirst().resume()
    }
  }
}
