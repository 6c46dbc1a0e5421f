internal import HAProxyConfigGen
internal import Logging
internal import Reactor
internal import SmartStack

/// The slow task: file, reload, state file.
extension HAProxyOutput {
  /// The least time between two replacements of the file, so that a burst of changes is one replacement.
  private static let filePause: Duration = .seconds(1)
  /// Where nothing but the file is to follow, checking it may take this share of the time at most.
  private static let fileShare = 10
  /// The file is never further behind than this, however long a busy machine takes for a check.
  private static let filePauseLimit: Duration = .seconds(10)
  /// How often lines are taken out of one file before it is given up.
  private static let repairLimit = 50

  func runSlow() async {
    while !isStopped {
      await slowWork.wait()
      if isStopped { break }
      if let pause = filePauseLeft {
        slowWork.set(after: pause)
        continue
      }
      if !isReady { continue }
      await settled()
      let start = clock.now
      reportProblems()
      let isGood = await keepFile()
      if isGood { await reloadIfNeeded() }
      await keepStateFile()
      lastFileWork = (clock.now, clock.now - start)
    }
    await leaveInOrder()
  }

  /// The last thing: file and state say what HAProxy serves, so that the next agent has nothing to bring to it.
  private func leaveInOrder() async {
    guard isReady, fileRevision != revision || stateRevision != revision else { return }
    if await keepFile() { await writeStateFile() }
  }

  /// A minute has passed: remembered servers may be past their time, the state file's age shows that we live.
  func minute() {
    if model.expire(now: Int(clock.unixTime)) { modelChanged() }
    isStateOld = true
    countLeftovers()
    planFold()
    slowWork.set()
  }

  private var filePauseLeft: Duration? {
    guard let lastFileWork, fileRevision != revision else { return nil }
    // What waits for a reload is not served before it: there the reloads' own schedule is the brake.
    let took = mustReload ? .zero : lastFileWork.took * HAProxyOutput.fileShare
    let pause = max(HAProxyOutput.filePause, min(took, HAProxyOutput.filePauseLimit))
    let left = pause - (clock.now - lastFileWork.at)
    return left > .zero ? left : nil
  }

  // MARK: The file

  /// The model's file; rendered beside the loop.
  func render(_ model: ProxyModel, revision wanted: Int) async -> RenderedConfiguration? {
    if let rendered, rendered.revision == wanted { return rendered.file }
    guard let file = try? await BlockingWork.run({ model.render() }) else { return nil }
    if wanted == revision { rendered = (wanted, file) }
    return file
  }

  /// Replaces the file if it is to be another one and HAProxy accepts it.
  /// - Returns: whether the file now is the model's.
  private func keepFile() async -> Bool {
    guard configuration.writesFile else { return true }
    for _ in 0..<HAProxyOutput.repairLimit {
      let wanted = revision
      guard let file = await render(model, revision: wanted) else { return false }
      if file.text == fileText {
        fileRevision = wanted
        return true
      }
      switch await tryFile(file) {
      case .replaced:
        fileRevision = wanted
        return true
      case .kept:
        instruments.updateFailed()
        return false
      case .repaired: continue
      }
    }
    logger.error("the HAProxy file cannot be repaired, the old one stays", with: [.path: configuration.filePath])
    return false
  }

  private enum Trial {
    case replaced, kept, repaired
  }

  private func tryFile(_ file: RenderedConfiguration) async -> Trial {
    let (text, candidate, path) = (file.text, configuration.candidatePath, configuration.filePath)
    do {
      try await BlockingWork.run { try AtomicFile.write(Array(text.utf8), to: candidate, mode: 0o644, sync: false) }
      switch await checker.verdict(on: candidate) {
      case .good: break
      case .unknown(let reason):
        instruments.checked("unknown")
        logger.error(
          "the HAProxy file cannot be checked, the old one stays", with: [.path: candidate, .reason: reason])
        slowWork.set(after: .seconds(10))
        return .kept
      case .refused(let report, let output): return repair(file, report, output)
      }
      instruments.checked("good")
      markReloadPending()
      try await BlockingWork.run { try FileRename.rename(candidate, to: path) }
    } catch {
      logger.error("the HAProxy file cannot be written", with: [.path: path, .reason: "\(error)"])
      slowWork.set(after: .seconds(10))
      return .kept
    }
    fileText = text
    if sockets.isEmpty { isFileUnloaded = true }
    instruments.fileWrites.increment()
    logger.info("the HAProxy file is replaced", with: [.path: path])
    return .replaced
  }

  private func repair(_ file: RenderedConfiguration, _ report: CheckReport, _ output: String) -> Trial {
    instruments.checked("refused")
    for alert in report.alerts {
      let origin = alert.line.flatMap { file.origin(ofLine: $0) }?.description ?? alert.proxy ?? "the file"
      logger.error("HAProxy refuses a line", with: [.service: origin, .reason: alert.message])
    }
    if model.leaveOut(refusedBy: report, of: file) {
      modelChanged()
      return .repaired
    }
    let words =
      report.alerts.isEmpty ? String(output.suffix(600)) : report.alerts.map(\.message).joined(separator: "; ")
    logger.error(
      "HAProxy refuses the new file, the old one stays", with: [.path: configuration.candidatePath, .reason: words])
    slowWork.set(after: .seconds(60))
    return .kept
  }

  // MARK: The state file

  /// What it tells is in HAProxy, too, so it may be late: with thousands of services it is dear to write.
  private static let stateShare = (ofChanges: 50, atRest: 1000)
  private static let statePauseLimit: Duration = .seconds(60)

  private func keepStateFile() async {
    guard configuration.stateFilePath != nil, stateRevision != revision || isStateOld else { return }
    let wait = statePauseLeft
    if wait > .zero { slowWork.set(after: wait) } else { await writeStateFile() }
  }

  private var statePauseLeft: Duration {
    guard let lastStateWrite else { return .zero }
    var pause = min(lastStateWrite.took * HAProxyOutput.stateShare.ofChanges, HAProxyOutput.statePauseLimit)
    if stateRevision == revision {
      // Only its age is behind: it must not reach that at which servers are forgotten.
      pause = min(
        lastStateWrite.took * HAProxyOutput.stateShare.atRest, .seconds(configuration.generator.stateFileTTL / 4))
    }
    return lastStateWrite.at + pause - clock.now
  }

  private func writeStateFile() async {
    guard let path = configuration.stateFilePath else { return }
    let (model, now, start) = (model, Int(clock.unixTime), clock.now)
    stateRevision = revision
    isStateOld = false
    do {
      try await BlockingWork.run { try AtomicFile.write(model.stateFile(now: now), to: path, mode: 0o644, sync: false) }
    } catch {
      logger.error("the state file cannot be written", with: [.path: path, .reason: "\(error)"])
    }
    lastStateWrite = (clock.now, clock.now - start)
  }
}
