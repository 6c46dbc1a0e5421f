public import Reactor

/// configure_nerve that stays: it acts when a file it read changes, when the Mesos agent has other tasks, when a
/// program prints another list.
///
/// A source that fails keeps its last answer; until each has answered once, the current file is left alone.
@LoopActor public final class ConfigureWatch {
  private let configurator: NerveConfigurator
  private let clock: LoopClock
  private let say: @LoopActor (String) -> Void
  private var feeds: [SourceFeed] = []
  private var reader: SourceReader?
  private var known: Set<String> = []
  private lazy var resident = ResidentRun(refresh: ConfigureWatch.refreshInterval, clock: clock, say: say) {
    [weak self] in await self?.turn() ?? []
  }

  /// Everything is looked at afresh this often, for what no event tells.
  static let refreshInterval = Duration.seconds(60)

  /// - Parameter say: gets lines for the log, without line breaks; a problem once, not with every run.
  public init(
    configurator: NerveConfigurator, clock: LoopClock = .system, say: @escaping @LoopActor (String) -> Void
  ) {
    self.configurator = configurator
    self.clock = clock
    self.say = say
  }

  /// Runs the loop until ``stop()``.
  public func run() async {
    configurator.onRestartEnd = { [weak self] in self?.lookAgain() }
    await resident.run()
    await configurator.restartEnds()
    for feed in feeds { feed.stop() }
  }

  /// Looks at everything now.
  public func lookAgain() { resident.lookAgain() }

  /// Ends ``run()``, after the run under way.
  public func stop() { resident.stop() }

  private func turn() async -> Set<String> {
    let start = clock.now
    var paths: Set<String> = []
    do {
      let (reader, early) = try await configurator.reader()
      paths = early
      startFeeds(reader)
      guard let answers = await firstAnswers() else {
        tell(configurator.writeFigures(nil, isSuccess: false, since: start))
        return paths
      }
      let outcome = try await configurator.run(
        .write, on: answers, host: reader.host, early: early, isStale: feeds.contains { $0.problem != nil },
        since: start)
      tell(outcome.problems)
      if !outcome.output.isEmpty { say(outcome.output.filter { !$0.isNewline }) }
    } catch {
      // What was read before the error is watched on: its correction must be seen.
      paths.insert(configurator.options.inputs.paastaDir)
      tell(["\(error)"] + configurator.writeFigures(nil, isSuccess: false, since: start))
    }
    return paths.union(configurator.attemptedPaths)
  }

  /// The host's name or PaaSTA's configuration may have changed since the last turn.
  private func startFeeds(_ reader: SourceReader) {
    guard self.reader != reader else { return }
    self.reader = reader
    for feed in feeds { feed.stop() }
    feeds = configurator.options.inputs.sources.map { source in
      SourceFeed(source, reader: reader, interval: configurator.options.pollInterval, clock: clock) {
        [weak self] in self?.lookAgain()
      }
    }
  }

  /// What each source said last; nil until every one has said something.
  private func firstAnswers() async -> [SourceAnswer]? {
    for feed in feeds { await feed.ask() }
    let answers = feeds.compactMap(\.answer)
    return answers.count == feeds.count ? answers : nil
  }

  /// Says what was not said before.
  private func tell(_ problems: [String]) {
    let problems = problems + feeds.compactMap(\.problem)
    for problem in problems where !known.contains(problem) { say(problem) }
    known = Set(problems)
  }
}

/// Asks one source again and again.
@LoopActor final class SourceFeed {
  /// What it said last, as long as it said anything.
  private(set) var answer: SourceAnswer?
  /// Why it said nothing this time.
  private(set) var problem: String?

  private let source: ServicesSource
  private let reader: SourceReader
  private let clock: LoopClock
  private let onChange: @LoopActor () -> Void
  private var polling: Task<Void, Never>?
  private var isAsked = false
  private let memory = AgentMemory()

  /// While a task is about to run, its agent is asked this often.
  static let startingInterval = Duration.milliseconds(100)

  init(
    _ source: ServicesSource, reader: SourceReader, interval: Duration, clock: LoopClock,
    onChange: @escaping @LoopActor () -> Void
  ) {
    self.source = source
    self.reader = reader
    self.clock = clock
    self.onChange = onChange
    guard source.isPolled else { return }
    polling = Task { @LoopActor [weak self] in
      while !Task.isCancelled {
        let pause = self?.isStarting == true ? min(interval, SourceFeed.startingInterval) : interval
        guard (try? await clock.sleep(for: pause)) != nil, let self else { return }
        if self.isAsked, await self.look() { self.onChange() }
      }
    }
  }

  func stop() {
    polling?.cancel()
    polling = nil
  }

  /// Makes sure that there is an answer as fresh as the last poll; what is not polled is asked each time.
  func ask() async {
    if !source.isPolled || answer == nil { _ = await look() }
    isAsked = true
  }

  private var isStarting: Bool { if case .tasks(let state, _) = answer { state.isStarting } else { false } }

  /// - Returns: whether anything is other than before.
  private func look() async -> Bool {
    do {
      let new = try await reader.ask(source, memory: memory)
      let isOther = new != answer || problem != nil
      (answer, problem) = (new, nil)
      return isOther
    } catch is CancellationError {
      return false
    } catch {
      let isOther = problem != "\(error)"
      problem = "\(error)"
      return isOther
    }
  }
}

extension ServicesSource {
  /// Whether no file tells of its changes.
  var isPolled: Bool {
    switch self {
    case .mesos, .command: true
    case .directory, .file: false
    }
  }
}
