public import Reactor

/// Reloads of a configuration, one after the other: of two at once, the older text could be applied last. A burst of
/// requests is one reload.
@LoopActor public final class ReloadQueue {
  /// A burst is over after 20 ms without a request; no request waits longer than a second for that.
  private static let debounce: AsyncSignal.Debounce = (quiet: .milliseconds(20), limit: .seconds(1))

  private let requests: AsyncSignal
  private var isStopped = false

  /// Waits for requests from now on.
  /// - Parameter reload: one reload.
  public init(clock: LoopClock = .system, reload: @escaping @LoopActor () async -> Void) {
    requests = AsyncSignal(clock: clock, debounce: ReloadQueue.debounce)
    Task { @LoopActor [weak self, requests] in
      while true {
        await requests.wait()
        guard let self, !isStopped else { return }
        await reload()
      }
    }
  }

  isolated deinit { requests.set() }

  /// Asks for a reload that sees everything that was written before this call.
  public func request() { requests.set() }

  /// Begins no further reload.
  public func stop() {
    isStopped = true
    requests.set()
  }
}
