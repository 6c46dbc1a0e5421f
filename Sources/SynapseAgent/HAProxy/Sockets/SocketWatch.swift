internal import HAProxyConfigGen
internal import HAProxyRuntime
internal import Logging
internal import Reactor
internal import SmartStack

/// Notices by regular looks that a HAProxy has restarted, answers again, or was changed by another program.
@LoopActor final class SocketWatch {
  private static let interval: Duration = .seconds(2)
  /// A process that does not answer for a moment is no reason for a reload: after these looks, 1.6 s, it is.
  private static let looksBeforeReload = 6

  private let sockets: [ProxySocket]
  private let clock: LoopClock
  private let logger: Logger
  private var isReady: @LoopActor () -> Bool = { false }
  private var onOtherProcess: (@LoopActor () async -> Void)?
  private var onDoubt: (@LoopActor () -> Void)?
  /// The paths of the sockets that did not answer when the model was last applied.
  private var unreachable: Set<String> = []
  /// The paths of the sockets whose files are missing, while the master passes commands on.
  private var missing: Set<String> = []
  private var failedLooks = 0
  private var nextLook: LoopTimer?
  private var isLooking = false
  private var isAuditing = false
  private var tickers: [Ticker] = []
  private var isStopped = false

  init(_ sockets: [ProxySocket], clock: LoopClock, logger: Logger) {
    self.sockets = sockets
    self.clock = clock
    self.logger = logger
  }

  var isReachable: Bool { unreachable.isEmpty }

  /// Starts looking.
  /// - Parameters:
  ///   - isReady: whether there is a model to compare with.
  ///   - onOtherProcess: called when another process answers, or answers again.
  ///   - onDoubt: called when HAProxy may not be in sync any more.
  func start(
    auditInterval: Duration, isReady: @escaping @LoopActor () -> Bool,
    onOtherProcess: @escaping @LoopActor () async -> Void, onDoubt: @escaping @LoopActor () -> Void
  ) {
    (self.isReady, self.onOtherProcess, self.onDoubt) = (isReady, onOtherProcess, onDoubt)
    if sockets.isEmpty { return }
    tickers = [
      Ticker(every: SocketWatch.interval, phase: SocketWatch.interval, clock: clock) { [weak self] _ in
        self?.checkProcesses()
      },
      Ticker(every: auditInterval, phase: auditInterval, clock: clock) { [weak self] _ in self?.audit() },
    ]
  }

  func stop() {
    isStopped = true
    nextLook?.cancel()
    for ticker in tickers { ticker.cancel() }
  }

  /// Records whether a socket answered.
  /// - Returns: why its process must be reloaded.
  func reloadReasons(after outcome: ProxySocket.Outcome, of socket: ProxySocket) -> [ReloadReason] {
    if case .unreachable(let reason) = outcome {
      if unreachable.insert(socket.path).inserted {
        failedLooks = 0
        logger.warning("HAProxy query failed", with: [.path: socket.path, .reason: reason])
      }
      lookAgainSoon()
      return failedLooks > SocketWatch.looksBeforeReload ? [ReloadReason(reason)] : []
    }
    if unreachable.remove(socket.path) != nil { logger.notice("HAProxy query recovered", with: [.path: socket.path]) }
    if !socket.isThroughMaster {
      missing.remove(socket.path)
    } else if missing.insert(socket.path).inserted {
      logger.warning(
        "stats socket missing",
        with: [
          .path: socket.path,
          .reason: "its file was removed; the master's socket is used until a restart of HAProxy makes it again",
        ])
    }
    switch outcome {
    case .matches, .unreachable: return []
    case .restarted: return [ReloadReason("HAProxy restarts while it is being spoken to")]
    case .needsReload(let reasons): return reasons
    }
  }

  /// Another process must be brought in sync, as must one that is back.
  private func checkProcesses() {
    if isLooking || !isReady() { return }
    isLooking = true
    Task { @LoopActor in
      for socket in sockets {
        let wasUnreachable = unreachable.contains(socket.path)
        do {
          if try await socket.checkProcess() || wasUnreachable { await onOtherProcess?() }
        } catch {
          socket.observeAgain()
          if wasUnreachable { lookAgainSoon() }
          if !wasUnreachable || failedLooks == SocketWatch.looksBeforeReload + 1 { onDoubt?() }
        }
      }
      isLooking = false
    }
  }

  /// A process that starts is brought in sync as soon as it answers, not with the next regular look.
  private func lookAgainSoon() {
    if isStopped || nextLook?.isPending == true { return }
    let delay = Duration.milliseconds(25 << min(failedLooks, 6))
    failedLooks += 1
    nextLook = clock.schedule(after: delay) { [weak self] in self?.checkProcesses() }
  }

  /// Compares what runs with what commands brought about: other programs may have changed it.
  private func audit() {
    if !isReady() || isAuditing { return }
    isAuditing = true
    Task { @LoopActor in
      for socket in sockets {
        guard let isDriftSuspected = try? await socket.audit() else { continue }
        socket.observeAgain(isDriftSuspected: isDriftSuspected)
        onDoubt?()
      }
      isAuditing = false
    }
  }
}
