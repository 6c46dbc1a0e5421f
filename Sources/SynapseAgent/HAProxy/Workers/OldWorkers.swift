internal import Glibc
internal import HAProxyRuntime
internal import Logging
internal import Reactor
internal import SmartStack

/// Kills processes that reloads have replaced when they are too old or too many.
@LoopActor final class OldWorkers {
  private static let longestPause: Duration = .seconds(60)

  private let limits: WorkerLimits
  private let master: MasterSocket?
  private let sockets: [ProxySocket]
  private let logger: Logger
  private let metrics: HAProxyMetrics
  /// The processes that served at the last look; nil: never looked.
  private var seen: Set<Int>?
  /// The number of old ones then.
  private var count = 0
  /// Those that got SIGTERM: the next time they get SIGKILL.
  private var terminated: Set<ProcessRecord> = []
  private var isLooking = false

  init(_ configuration: HAProxyConfiguration, sockets: [ProxySocket], logger: Logger, metrics: HAProxyMetrics) {
    limits = configuration.workerLimits
    master = if case .masterSocket(let path)? = configuration.reload { MasterSocket(path: path) } else { nil }
    self.sockets = sockets
    self.logger = logger
    self.metrics = metrics
  }

  /// How often to look, besides after each reload.
  var pause: Duration {
    max(.seconds(1), min(OldWorkers.longestPause, (limits.age ?? OldWorkers.longestPause) / 4))
  }

  /// Kills what is beyond the limits. Free as long as the same processes serve and there were no others.
  func killExcessWorkers() {
    let pids = Set(sockets.compactMap(\.pid))
    guard limits.isActive, !isLooking, !sockets.isEmpty, sockets.allSatisfy({ $0.pid != nil }),
      seen != pids || count > 0
    else {
      return
    }
    isLooking = true
    Task { @LoopActor in
      await killExcessWorkers(besides: pids)
      isLooking = false
    }
  }

  private func killExcessWorkers(besides pids: Set<Int>) async {
    let current = Set(pids.compactMap(Int32.init(exactly:)))
    var listed: Set<Int32>?
    if let master {
      guard let processes = try? await master.processes(within: .seconds(2)) else { return }
      listed = Set(processes.old.compactMap(Int32.init(exactly:)))
    }
    let names = listed
    guard let found = try? await BlockingWork.run({ OldWorker.find(current: current, listed: names) }) else { return }
    seen = pids
    count = found.count
    terminated.formIntersection(found.map(\.process))
    metrics.oldWorkers.value = Double(found.count)
    for (index, worker) in found.enumerated() {
      if let limit = limits.excess(index: index, age: worker.age) { kill(worker, beyond: limit) }
    }
  }

  /// SIGTERM stops HAProxy at once; one that hangs ignores it.
  private func kill(_ worker: OldWorker, beyond limit: String) {
    let isFirst = terminated.insert(worker.process).inserted
    let code = worker.process.signal(isFirst ? SIGTERM : SIGKILL)
    if code != 0 {
      let words = String(cString: strerror(code))
      if isFirst { logger.warning("old worker stop failed", with: [.pid: worker.process.pid, .reason: words]) }
      return
    }
    if isFirst { metrics.countEndedWorker(beyond: limit) }
    let reason = limit == "age" ? "it was replaced \(worker.age) ago" : "there are too many of them"
    logger.notice(
      "old worker stopped",
      with: [.pid: worker.process.pid, .reason: reason, .signal: isFirst ? "SIGTERM" : "SIGKILL"])
  }
}
