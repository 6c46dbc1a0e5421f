internal import HAProxyConfigGen
internal import HAProxyRuntime
internal import Logging
internal import Reactor
internal import SmartStack

/// Keeps HAProxy's file in sync with the model: render, check, repair, replace.
@LoopActor final class FileSync {
  /// The least time between two replacements of the file, so that a burst of changes is one replacement, and so short
  /// that the file is less than a second behind the sockets.
  private static let pause: Duration = .milliseconds(500)

  /// What became of the file.
  enum Outcome {
    /// It is the model's.
    case current
    /// It was replaced by the model's.
    case replaced
    /// It could not be replaced; a retry makes sense after the delay, if there is one.
    case kept(retryAfter: Duration?)
  }

  private let configuration: HAProxyConfiguration
  private let checker: FileChecker
  private let repair: FileRepair
  private let wanted: WantedModel
  private let clock: LoopClock
  private let logger: Logger
  private let metrics: HAProxyMetrics
  private let disk: FileOnDisk
  /// The model's revision that the file holds.
  private var revision = 0
  private var rendered: (revision: Int, file: RenderedConfiguration)?
  private var retry = RefusalRetry()
  private var isRetryDue = false
  private var lastRound: LoopClock.Instant?
  /// Called when another program has changed the file.
  var onForeignChange: (@LoopActor () -> Void)?

  init(
    _ configuration: HAProxyConfiguration, checker: FileChecker, wanted: WantedModel, clock: LoopClock, logger: Logger,
    metrics: HAProxyMetrics
  ) {
    self.configuration = configuration
    self.checker = checker
    self.wanted = wanted
    self.clock = clock
    self.logger = logger
    self.metrics = metrics
    disk = FileOnDisk(path: configuration.filePath, clock: clock)
    repair = FileRepair(
      path: configuration.candidatePath, mode: disk.mode, checker: checker, logger: logger, metrics: metrics)
  }

  /// The file as it stands on the disk; nil: there is none, or it cannot be read.
  var text: String? { disk.text }

  /// Whether the model has changed since the file was written; always so where none is written.
  var isBehind: Bool { revision != wanted.revision }

  /// Whether the file is the model's, as far as it is to be written.
  var isCurrent: Bool { !configuration.writesFile || !isBehind }

  /// Whether the file holds a revision of the model or a later one, as far as it is to be written.
  func holds(_ revision: Int) -> Bool { !configuration.writesFile || self.revision >= revision }

  /// The release that checks the file; nil: it is not checked, or by a command that may be anything.
  func checkerVersion() async -> HAProxyVersion? { await checker.version() }

  // MARK: Pace

  /// Records that a round of file, reload and state file has ended.
  func recordRound() { lastRound = clock.now }

  /// How long the next round has to wait; nil: not at all.
  var pauseLeft: Duration? {
    guard let lastRound, isBehind else { return nil }
    let left = FileSync.pause - (clock.now - lastRound)
    return left > .zero ? left : nil
  }

  // MARK: The disk

  /// Notices what another program has done to the file; the next round writes it again.
  func look() async {
    guard let change = await disk.look(), configuration.writesFile else { return }
    revision = 0
    metrics.drifts.increment()
    logger.warning("HAProxy file changed by another program", with: [.path: configuration.filePath, .reason: change])
    onForeignChange?()
  }

  /// Records that HAProxy has not loaded the file as it stands.
  func markUnloaded() { disk.markUnloaded() }

  /// Records that HAProxy was reloaded at `time` (seconds since 1970) or later.
  func markLoaded(at time: Double) { disk.markLoaded(at: time) }

  /// What a process has loaded that another program started; nil: unknown.
  func configuration(loadedBy process: ProxyInfo) async -> LoadedConfiguration? {
    await look()
    return disk.isLoaded(by: process) ? await loadedConfiguration() : nil
  }

  /// What a process loads that begins now.
  func loadedConfiguration() async -> LoadedConfiguration? {
    // The model's fingerprints are those of its file, and take no memory of their own.
    if revision == wanted.revision, configuration.writesFile {
      let model = wanted.model
      return await BlockingWork.compute { LoadedConfiguration(model) }
    }
    guard let text = disk.text else { return nil }
    return await BlockingWork.compute { LoadedConfiguration(text: text) }
  }

  // MARK: The file

  /// Replaces the file if it is to be another one and HAProxy accepts it.
  /// - Parameter willReplace: called before the new file takes the old one's place.
  func sync(willReplace: @LoopActor () -> Void) async -> Outcome {
    guard configuration.writesFile else { return .current }
    await look()
    repair.mode = disk.mode
    let (file, fileRevision, verdict) = await settle()
    let (candidate, path) = (repair.path, configuration.filePath)
    switch verdict {
    case .unchanged:
      revision = fileRevision
      disk.recordOutline(file.outline)
      return .current
    case .accepted:
      willReplace()
      do {
        try await disk.replace(by: candidate, text: file.text, outline: file.outline)
      } catch {
        return keepUnwritten(because: error)
      }
      revision = fileRevision
      metrics.fileWrites.increment()
      logger.info("HAProxy file replaced", with: [.path: path])
      return .replaced
    case .unwritable(let error): return keepUnwritten(because: error)
    case .unchecked(let reason):
      logger.error("HAProxy file check failed", with: [.path: candidate, .reason: reason])
      return keep(retryAfter: .seconds(10))
    case .refused(let alerts, let output):
      let words = alerts.isEmpty ? String(output.suffix(600)) : alerts.map(\.message).joined(separator: "; ")
      logger.error("HAProxy file rejected", with: [.path: candidate, .reason: words])
      return keep(retryAfter: .seconds(60))
    case .unrepairable:
      logger.error("HAProxy file repair failed", with: [.path: path])
      return keep(retryAfter: .seconds(1))
    }
  }

  private func keepUnwritten(because error: any Error) -> Outcome {
    logger.error("HAProxy file write failed", with: [.path: configuration.filePath, .reason: "\(error)"])
    return keep(retryAfter: .seconds(10))
  }

  private func keep(retryAfter delay: Duration) -> Outcome {
    metrics.countFailedUpdate()
    return .kept(retryAfter: delay)
  }

  /// Has HAProxy ask for another file whether what it refused is good by now; see ``RefusalRetry``.
  /// - Returns: whether the next ``sync(willReplace:)`` does so.
  func planRetry() -> Bool {
    isRetryDue = configuration.writesFile && retry.isDue(refused: wanted.model.refusedTexts, now: clock.now)
    return isRetryDue
  }

  /// Renders the model and has HAProxy check it, until HAProxy accepts it: what HAProxy refuses is skipped.
  private func settle() async -> (file: RenderedConfiguration, revision: Int, verdict: FileVerdict) {
    let (isRetry, revision) = (isRetryDue, wanted.revision)
    isRetryDue = false
    var model = wanted.model
    if isRetry { model = await BlockingWork.compute { [model] in model.withoutRefusals() } }
    let file = isRetry ? await FileRepair.render(model) : await render().file
    let outcome = await repair.settle(model, file: file, current: disk.text)
    var settledRevision = revision
    switch outcome.verdict {
    case .unwritable where isRetry, .unchecked where isRetry, .refused where isRetry, .unrepairable where isRetry: break
    case .unchanged, .accepted, .unwritable, .unchecked, .refused, .unrepairable:
      settledRevision = await wanted.adopt(outcome.model, of: revision)
      rendered = (settledRevision, outcome.file)
    }
    if isRetry {
      retry.recordAttempt(refused: wanted.model.refusedTexts, now: clock.now)
    } else {
      _ = retry.isDue(refused: wanted.model.refusedTexts, now: clock.now)
    }
    return (outcome.file, settledRevision, outcome.verdict)
  }

  /// The model's file; rendered beside the loop.
  private func render() async -> (file: RenderedConfiguration, revision: Int) {
    let (model, revision) = (wanted.model, wanted.revision)
    if let rendered, rendered.revision == revision { return (rendered.file, revision) }
    let file = await FileRepair.render(model)
    if revision == wanted.revision { rendered = (revision, file) }
    return (file, revision)
  }
}
