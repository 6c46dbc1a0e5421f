internal import Logging
internal import Reactor
internal import SmartStack

/// `reload_on_change`: watches the configuration's file and directories.
@LoopActor final class ConfigurationWatch {
  /// Files that belong together are often written one after the other: one reload serves them.
  private static let delay = Duration.milliseconds(100)

  private let clock: LoopClock
  private let onChange: @LoopActor () -> Void
  private var watches: [FileWatch] = []
  private var timer: LoopTimer?

  /// - Parameter onChange: called a little after the first change of a burst.
  init(paths: [String], logger: Logger, clock: LoopClock, onChange: @escaping @LoopActor () -> Void) {
    self.clock = clock
    self.onChange = onChange
    watches = paths.compactMap { path in
      do {
        return try FileWatch(path: path) { [weak self] _ in self?.changed() }
      } catch {
        logger.warning("changes of the configuration will not be noticed", with: [.path: path, .reason: "\(error)"])
        return nil
      }
    }
  }

  func cancel() {
    for watch in watches { watch.cancel() }
    timer?.cancel()
  }

  private func changed() {
    if timer?.isPending == true { return }
    timer = clock.schedule(after: ConfigurationWatch.delay) { [onChange] in onChange() }
  }
}
