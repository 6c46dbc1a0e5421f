internal import Glibc
internal import HAProxyConfigGen
internal import Logging
internal import Reactor
internal import SmartStack

/// Keeps HAProxy's file in sync with the model: render, check, repair, replace.
@LoopActor final class FileSync {
  /// The least time between two replacements of the file, so that a burst of changes is one replacement.
  private static let pause: Duration = .seconds(1)
  /// Where nothing but the file is to follow, checking it may take this share of the time at most.
  private static let share = 10
  /// The file is never further behind than this, however long a busy machine takes for a check.
  private static let pauseLimit: Duration = .seconds(10)
  /// How often lines are taken out of one file before it is given up.
  private static let repairLimit = 50

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
  private let wanted: WantedModel
  private let clock: LoopClock
  private let logger: Logger
  private let metrics: HAProxyMetrics
  /// The file as it stands on disk; nil: there is none, or it cannot be read.
  private(set) var text: String?
  /// The model's revision that the file holds.
  private var revision = 0
  private var rendered: (revision: Int, file: RenderedConfiguration)?
  private var lastRound: (at: LoopClock.Instant, took: Duration)?

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
    if !configuration.filePath.isEmpty, let bytes = try? Files.read(configuration.filePath, limit: 1 << 30) {
      text = String(decoding: bytes, as: UTF8.self)
    }
  }

  /// Whether the model has changed since the file was written; always so where none is written.
  var isBehind: Bool { revision != wanted.revision }

  /// Whether the file is the model's, as far as it is to be written.
  var isCurrent: Bool { !configuration.writesFile || !isBehind }

  /// The release that checks the file; nil: it is not checked, or by a command that may be anything.
  func checkerVersion() async -> HAProxyVersion? { await checker.version() }

  // MARK: Pace

  /// Records that a round of file, reload and state file has ended.
  func recordRound(since start: LoopClock.Instant) { lastRound = (clock.now, clock.now - start) }

  /// How long the next round has to wait; nil: not at all.
  func pauseLeft(isReloadDue: Bool) -> Duration? {
    guard let lastRound, isBehind else { return nil }
    // What waits for a reload is not served before it: there the reloads' own schedule is the brake.
    let took = isReloadDue ? .zero : lastRound.took * FileSync.share
    let pause = max(FileSync.pause, min(took, FileSync.pauseLimit))
    let left = pause - (clock.now - lastRound.at)
    return left > .zero ? left : nil
  }

  // MARK: The file

  /// What a process has loaded that started while the file stood as it does.
  func loadedConfiguration() -> LoadedConfiguration? {
    // The model's fingerprints are those of its file, and take no memory of their own.
    if revision == wanted.revision, configuration.writesFile { return LoadedConfiguration(wanted.model) }
    return text.map { LoadedConfiguration(text: $0) }
  }

  /// Replaces the file if it is to be another one and HAProxy accepts it.
  /// - Parameter willReplace: called before the new file takes the old one's place.
  func sync(willReplace: @LoopActor () -> Void) async -> Outcome {
    guard configuration.writesFile else { return .current }
    let (file, fileRevision, verdict) = await trySettling(mode: 0o644)
    let (candidate, path) = (configuration.candidatePath, configuration.filePath)
    switch verdict {
    case .unchanged:
      revision = fileRevision
      return .current
    case .accepted:
      willReplace()
      do {
        try await BlockingWork.run { try FileSync.rename(candidate, to: path) }
      } catch {
        return keepUnwritten(because: error)
      }
      (text, revision) = (file.text, fileRevision)
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
      return .kept(retryAfter: nil)
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

  /// Renders the model and has HAProxy check it, until HAProxy accepts it: what HAProxy refuses is skipped.
  /// - Parameter mode: the permissions of the candidate's file.
  func trySettling(mode: UInt32) async -> (file: RenderedConfiguration, revision: Int, verdict: FileVerdict) {
    for _ in 0..<FileSync.repairLimit {
      let (file, revision) = await render()
      if file.text == text { return (file, revision, .unchanged) }
      let candidate = configuration.candidatePath
      do {
        try await BlockingWork.run {
          try Files.write(Array(file.text.utf8), to: candidate, mode: mode, sync: false)
        }
      } catch {
        return (file, revision, .unwritable(error as? FileError ?? FileError("write", path: candidate, code: EIO)))
      }
      let verdict = await checker.verdict(on: candidate)
      guard case .refused(let alerts, _) = verdict else {
        if case .accepted = verdict { metrics.countCheck("good") } else { metrics.countCheck("unknown") }
        return (file, revision, verdict)
      }
      metrics.countCheck("refused")
      for alert in alerts {
        logger.error("configuration line rejected", with: [.service: file.place(of: alert), .reason: alert.message])
      }
      if !wanted.skip(refusedBy: alerts, of: file) { return (file, revision, verdict) }
    }
    let (file, revision) = await render()
    return (file, revision, .unrepairable)
  }

  /// The model's file; rendered beside the loop.
  private func render() async -> (file: RenderedConfiguration, revision: Int) {
    let (model, revision) = (wanted.model, wanted.revision)
    if let rendered, rendered.revision == revision { return (rendered.file, revision) }
    let file = (try? await BlockingWork.run { model.render() }) ?? model.render()
    if revision == wanted.revision { rendered = (revision, file) }
    return (file, revision)
  }

  private nonisolated static func rename(_ from: String, to path: String) throws(FileError) {
    if Glibc.rename(from, path) != 0 { throw FileError("rename", path: path, code: errno) }
  }
}

extension RenderedConfiguration {
  /// Where the refused line came from, as far as HAProxy tells.
  func place(of alert: CheckAlert) -> String {
    alert.line.flatMap { origin(ofLine: $0) }?.description ?? alert.proxy ?? "the file"
  }
}
