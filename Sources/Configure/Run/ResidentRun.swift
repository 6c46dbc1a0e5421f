public import Reactor

/// A tool that writes configuration and stays: it runs again whenever something changed that its last run has read, and
/// now and then for what no event tells.
///
/// A burst of events is one run; what happens during a run is for the next one.
@LoopActor public final class ResidentRun {
  /// A burst of changes is over after 5 ms without one; no change waits longer than 100 ms.
  private static let debounce: AsyncSignal.Debounce = (quiet: .milliseconds(5), limit: .milliseconds(100))

  private let changes: AsyncSignal
  private let clock: LoopClock
  private let refresh: Duration
  private let say: @LoopActor (String) -> Void
  private let turn: @LoopActor () async -> Set<String>
  private(set) var runs = 0
  private var isStopped = false
  private var trouble: String?

  /// - Parameters:
  ///   - refresh: the longest time between two runs.
  ///   - say: gets a line for the operator when files cannot be watched.
  ///   - turn: one run; returns every path that it asked for, whether it was there or not.
  public init(
    refresh: Duration, clock: LoopClock = .system, say: @escaping @LoopActor (String) -> Void,
    turn: @escaping @LoopActor () async -> Set<String>
  ) {
    self.refresh = refresh
    self.clock = clock
    self.say = say
    self.turn = turn
    changes = AsyncSignal(clock: clock, debounce: ResidentRun.debounce)
  }

  /// Runs at once and then again and again, until ``stop()``; the run under way is brought to its end.
  /// - Parameter onReady: called after the first run.
  public func run(onReady: @LoopActor () -> Void = {}) async {
    var files: PathsWatch?
    do {
      files = try PathsWatch { [changes] in changes.set() }
    } catch {
      report(error)
    }
    while !isStopped {
      await watch(await turn(), with: files)
      runs += 1
      if runs == 1 { onReady() }
      if isStopped { break }
      changes.set(after: refresh)
      await changes.wait()
      changes.cancelAppointment()
    }
    files?.cancel()
  }

  /// Runs again soon, for what no file tells.
  public func lookAgain() { changes.set() }

  /// Stops the loop; ``run()`` returns.
  public func stop() {
    isStopped = true
    changes.set()
  }

  private func watch(_ paths: Set<String>, with files: PathsWatch?) async {
    guard let files else { return }
    do {
      // What changed between the reading and the watching was not seen.
      if try await files.watch(paths) { changes.set() }
      trouble = nil
    } catch {
      report(error)
    }
  }

  private func report(_ error: any Error) {
    let words = "warning: \(error); changes are seen every \(refresh.components.seconds) s only"
    if trouble != words { say(words) }
    trouble = words
  }
}
