internal import Glibc
internal import HAProxyRuntime
internal import Logging
internal import Reactor
internal import SmartStack

/// What is known of replaced processes between two looks.
struct WorkerWatch {
  /// Which processes served at the last look; nil: never looked.
  var seen: Set<Int>?
  /// How many old ones there were then.
  var count = 0
  /// Those that were told to end: the next time they are not asked.
  var told: Set<ProcessRecord> = []
  /// A look is under way.
  var isLooking = false
}

/// Old workers: what a reload has replaced does not stay for ever.
extension HAProxyOutput {
  private static let longestPause: Duration = .seconds(60)

  /// How often old workers are looked after, besides after each reload.
  var workerPause: Duration {
    let age = configuration.workerLimits.age ?? HAProxyOutput.longestPause
    return max(.seconds(1), min(HAProxyOutput.longestPause, age / 4))
  }

  /// Ends what is beyond the limits. Free as long as the same processes serve and there were no others.
  func boundOldWorkers() {
    let pids = Set(sockets.compactMap(\.pid))
    guard configuration.workerLimits.isActive, !workers.isLooking, !sockets.isEmpty, pids.count == sockets.count,
      workers.seen != pids || workers.count > 0
    else { return }
    workers.isLooking = true
    Task { @LoopActor in
      await lookAfterOldWorkers(pids)
      workers.isLooking = false
    }
  }

  private func lookAfterOldWorkers(_ pids: Set<Int>) async {
    let current = Set(pids.compactMap(Int32.init(exactly:)))
    var listed: Set<Int32>?
    if case .masterSocket(let path)? = configuration.reload {
      guard let processes = try? await MasterSocket(path: path).processes(within: .seconds(2)) else { return }
      listed = Set(processes.old.compactMap(Int32.init(exactly:)))
    }
    let names = listed
    guard let found = try? await BlockingWork.run({ OldWorker.find(current: current, listed: names) }) else { return }
    workers.seen = pids
    workers.count = found.count
    workers.told.formIntersection(found.map(\.process))
    instruments.oldWorkers.value = Double(found.count)
    for (index, worker) in found.enumerated() {
      guard let excess = configuration.workerLimits.excess(index: index, age: worker.age) else { continue }
      end(worker, excess)
    }
  }

  /// SIGTERM ends HAProxy at once; one that hangs does not hear it.
  private func end(_ worker: OldWorker, _ excess: WorkerLimits.Excess) {
    let isNew = workers.told.insert(worker.process).inserted
    let code = worker.process.signal(isNew ? SIGTERM : SIGKILL)
    if code != 0 {
      let words = String(cString: strerror(code))
      if isNew { logger.warning("an old HAProxy cannot be ended", with: [.pid: worker.process.pid, .reason: words]) }
      return
    }
    if isNew { instruments.endedOldWorker(excess.rawValue) }
    let reason = excess == .age ? "it was replaced \(worker.age) ago" : "there are too many of them"
    logger.notice(
      "an old HAProxy is ended",
      with: [.pid: worker.process.pid, .reason: reason, .signal: isNew ? "SIGTERM" : "SIGKILL"])
  }
}
