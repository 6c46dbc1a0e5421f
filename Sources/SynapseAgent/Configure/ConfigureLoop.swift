internal import Reactor

/// Runs again whenever something changed that the last run has read, and now and then so that the file stays young.
///
/// Events within a few milliseconds are one run; during a run they are kept for the next one.
@LoopActor final class ConfigureLoop {
  /// Quiet time that ends a burst, and the longest a burst may put a run off.
  static let quiet: Duration = .milliseconds(10)
  static let patience: Duration = .milliseconds(200)

  /// Called once, after the first run.
  var onReady: (@LoopActor () -> Void)?
  /// How many runs there were.
  private(set) var runs = 0
  /// The last one's exit status.
  private(set) var status: Int32?

  private let run: ConfigureRun
  private var watch: PathsWatch?
  private var timer: LoopTimer?
  private var refresh: LoopTimer?
  private var burstStart: LoopClock.Instant?
  private var isRunning = false
  private var isDirty = false
  private var isStopped = false
  private var trouble: String?

  /// - Throws: when the system lets no files be watched.
  init(_ run: ConfigureRun) throws {
    self.run = run
    watch = try PathsWatch { [weak self] in self?.schedule() }
  }

  /// Runs soon: when nothing more happens for a moment.
  func schedule() {
    guard !isStopped else { return }
    let now = LoopClock.system.now
    let start = burstStart ?? now
    burstStart = start
    timer?.cancel()
    let delay = min(ConfigureLoop.quiet, max(.zero, ConfigureLoop.patience - (now - start)))
    timer = LoopClock.system.schedule(after: delay) { [weak self] in self?.begin() }
  }

  /// No further run begins.
  func stop() {
    isStopped = true
    watch?.cancel()
    timer?.cancel()
    refresh?.cancel()
  }

  private func begin() {
    guard !isStopped else { return }
    burstStart = nil
    if isRunning {
      isDirty = true
      return
    }
    isRunning = true
    isDirty = false
    Task { @LoopActor in
      await self.perform()
      self.isRunning = false
      if self.isDirty { self.schedule() }
    }
  }

  private func perform() async {
    let outcome = await run.perform()
    guard !isStopped, let watch else { return }
    runs += 1
    status = outcome.status
    do {
      // What changed between the reading and the watching was not seen.
      if try await watch.watch(outcome.paths) { isDirty = true }
      trouble = nil
    } catch {
      if trouble != "\(error)" {
        run.say("warning: \(error); changes are seen every \(run.options.refreshInterval) s only")
      }
      trouble = "\(error)"
    }
    guard !isStopped else { return }
    onReady?()
    onReady = nil
    refresh?.cancel()
    refresh = LoopClock.system.schedule(after: .seconds(run.options.refreshInterval)) { [weak self] in self?.schedule()
    }
  }
}
