public import Reactor

extension Ticker {
  /// A heartbeat: touches a file as long as the event loop turns, now and then every `interval`. Monitoring restarts an
  /// agent whose file grows old. `onProblem` runs when the file cannot be touched, once per change of the reason.
  public convenience init(
    touching path: String, every interval: Duration, clock: LoopClock = .system,
    onProblem: @escaping @LoopActor (FileError) -> Void = { _ in }
  ) {
    var last: FileError?
    self.init(every: interval, clock: clock) { _ in
      do throws(FileError) {
        try Files.touch(path, mode: 0o644)
        last = nil
      } catch {
        if error != last { onProblem(error) }
        last = error
      }
    }
  }
}
