public import Reactor

/// Touches a file as long as the event loop turns: monitoring restarts an agent whose file grows old.
@LoopActor public final class Heartbeat {
  private var ticker: Ticker?

  /// Touches `path` now and then every `interval`. `onProblem` runs when the file cannot be touched, once
  /// per change of the reason.
  public init(
    path: String, every interval: Duration, clock: LoopClock = .system,
    onProblem: @escaping @LoopActor (FileError) -> Void = { _ in }
  ) {
    var last: FileError?
    ticker = Ticker(every: interval, clock: clock) { _ in
      do throws(FileError) {
        try Files.touch(path, mode: 0o644)
        last = nil
      } catch {
        if error != last { onProblem(error) }
        last = error
      }
    }
  }

  /// Stops touching the heartbeat file.
  public func stop() {
    ticker?.cancel()
    ticker = nil
  }
}
