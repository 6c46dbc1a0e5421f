internal import Glibc
internal import HAProxyConfigGen
internal import Logging
internal import Reactor
internal import SmartStack

/// Has HAProxy check the file of a model, and skips what it refuses until it accepts the rest.
@LoopActor final class FileRepair {
  /// How often HAProxy is asked about one file at most. What was found until then is not lost: the next attempt goes on.
  private static let checkLimit = 60

  /// Where a file is written to be checked.
  private(set) var path: String
  /// The permissions of that file.
  var mode: UInt32
  private let checker: FileChecker
  private let logger: Logger
  private let metrics: HAProxyMetrics
  /// The last file that HAProxy accepted; nil: none, or it is to be asked about each.
  private var accepted: RenderedConfiguration?

  /// - Parameters:
  ///   - path: where a file is written to be checked.
  ///   - mode: the permissions of that file.
  init(path: String, mode: UInt32, checker: FileChecker, logger: Logger, metrics: HAProxyMetrics) {
    (self.path, self.mode, self.checker, self.logger, self.metrics) = (path, mode, checker, logger, metrics)
  }

  /// - Parameter current: HAProxy's file as it is, which needs no check; nil: there is none.
  /// - Returns: the model without what HAProxy refuses, its file, and what HAProxy says of that.
  func settle(
    _ model: ProxyModel, file: RenderedConfiguration, current: String?
  ) async -> (model: ProxyModel, file: RenderedConfiguration, verdict: FileVerdict) {
    var (model, file) = (model, file)
    var checksLeft = FileRepair.checkLimit
    while true {
      if file.text == current { return (model, file, .unchanged) }
      let verdict = await check(file)
      if case .accepted = verdict, checker.judgesTextAlone { accepted = file }
      guard case .refused(let alerts, let output) = verdict else { return (model, file, verdict) }
      accepted = nil
      checksLeft -= 1
      var isSkipped = false
      (model, isSkipped) = await FileRepair.change(model, by: { [file] in $0.skip(refusedBy: alerts, of: file) })
      if !isSkipped {
        let found = await search(in: model, output: FileRepair.words(of: alerts, output: output), limit: &checksLeft)
        (model, isSkipped) = await FileRepair.change(model, by: { $0.skip(found) })
        if !isSkipped { return (model, file, verdict) }
      }
      file = await FileRepair.render(model)
      if checksLeft <= 0 { return (model, file, .unrepairable) }
    }
  }

  /// The parts that HAProxy refuses, where its words name none.
  private func search(
    in model: ProxyModel, output: String, limit: inout Int
  ) async -> [(part: LineOrigin, message: String)] {
    var search = UnitSearch(model, message: output)
    while let parts = search.next, limit > 0 {
      limit -= 1
      let file = await BlockingWork.compute { model.render(without: parts) }
      switch await check(file) {
      case .accepted, .unchanged: search.record(refusal: nil)
      case .refused(let alerts, let output):
        search.record(refusal: FileRepair.words(of: alerts, output: output))
      case .unwritable, .unchecked, .unrepairable: return search.found
      }
    }
    return search.found
  }

  private func check(_ file: RenderedConfiguration) async -> FileVerdict {
    if let problem = await write(file.text) { return .unwritable(problem) }
    // Servers that came and went need no check: the file is to be as new as the sockets.
    if let accepted, file.isCovered(by: accepted) { return .accepted }
    let verdict = await checker.verdict(on: path)
    switch verdict {
    case .accepted: metrics.countCheck("good")
    case .refused: metrics.countCheck("refused")
    case .unchanged, .unwritable, .unchecked, .unrepairable: metrics.countCheck("unknown")
    }
    return verdict
  }

  /// - Returns: what went wrong; nil: nothing.
  private func write(_ text: String) async -> FileError? {
    let (path, mode) = (path, mode)
    do {
      try await BlockingWork.run { try Files.write(Array(text.utf8), to: path, mode: mode, sync: false) }
      return nil
    } catch {
      let problem = error as? FileError ?? FileError("write", path: path, code: EIO)
      // The folder of HAProxy's file may be closed to this user, and only the file open.
      let other = "/tmp/synapse-candidate-\(StableHash(path).hexadecimal)-\(getpid())"
      guard checker.judgesAnyPath, [EACCES, EPERM, EROFS].contains(problem.code), !path.hasPrefix("/tmp/") else {
        return problem
      }
      self.path = other
      return await write(text)
    }
  }

  /// HAProxy's complaints in one line.
  private static func words(of alerts: [CheckAlert], output: String) -> String {
    if !alerts.isEmpty { return alerts.map(\.message).joined(separator: "; ") }
    let lines = output.split(whereSeparator: \.isNewline).filter { !$0.isEmpty }
    return String((lines.last { $0.contains("ALERT") } ?? lines.last ?? "no reason is given").suffix(600))
  }

  /// The model as `body` changes it, beside the loop, and what `body` returns.
  private static func change(
    _ model: ProxyModel, by body: @escaping @Sendable (inout ProxyModel) -> Bool
  ) async -> (ProxyModel, Bool) {
    await BlockingWork.compute {
      var model = model
      let result = body(&model)
      return (model, result)
    }
  }

  /// The model's file; rendered beside the loop.
  static func render(_ model: ProxyModel) async -> RenderedConfiguration {
    await BlockingWork.compute { model.render() }
  }
}

extension RenderedConfiguration {
  /// Where the refused line came from, as far as HAProxy tells.
  func place(of alert: CheckAlert) -> String {
    alert.line.flatMap { origin(ofLine: $0) }?.description ?? alert.proxy ?? "the file"
  }
}
