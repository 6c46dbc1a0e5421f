internal import Logging
internal import Reactor
internal import SmartStack

/// Reports an ensemble that gives no session: which servers were tried and why in vain, at growing intervals until one
/// does. libzookeeper's own lines name the last server that it tried, whoever's ensemble that was.
@LoopActor final class OutageReport {
  /// An ensemble elects a leader within a few seconds.
  private static let firstPause = Duration.seconds(5)
  private static let longestPause = Duration.seconds(600)
  private static let connectLimit = Duration.seconds(2)

  private let ensemble: ServerList
  private let tls: TLSOptions?
  private let clock: LoopClock
  private let logger: Logger
  private var began: LoopClock.Instant?
  private var timer: LoopTimer?

  init(of ensemble: ServerList, tls: TLSOptions?, clock: LoopClock, logger: Logger) {
    (self.ensemble, self.tls, self.clock, self.logger) = (ensemble, tls, clock, logger)
  }

  /// Says that there is no session; repeated calls do nothing.
  func begin() {
    guard began == nil else { return }
    began = clock.now
    wait(OutageReport.firstPause)
  }

  /// Says that there is a session, or that none is wanted.
  func end() {
    timer?.cancel()
    (began, timer) = (nil, nil)
  }

  private func wait(_ pause: Duration) {
    timer = clock.schedule(after: pause) { [weak self] in
      self?.wait(min(pause * 2, OutageReport.longestPause))
      Task.immediate { await self?.report() }
    }
  }

  /// Tries each server once more.
  /// - Returns: why none of them gives a session, server by server.
  func reasons() async -> String {
    let attempts = ensemble.servers.map { server in
      Task.immediate { @LoopActor [tls] in
        do {
          let stream = try await ByteStream.connect(
            to: server.endpoint, tls: tls?.toward(server.host), deadline: OutageReport.connectLimit)
          defer { stream.close() }
          // A server that wants a certificate says so only now.
          if tls != nil {
            try stream.write("srvr")
            _ = try await stream.read(upTo: 1)
          }
          return "\(server.endpoint) accepts connections and gives no session"
        } catch {
          return "\(error)"
        }
      }
    }
    var reasons: [String] = []
    for attempt in attempts { reasons.append(await attempt.value) }
    return reasons.joined(separator: "; ")
  }

  private func report() async {
    guard let began else { return }
    let reasons = await reasons()
    guard self.began == began else { return }
    logger.error("ensemble not reached", with: [.ensemble: ensemble, .elapsed: clock.now - began, .reason: reasons])
  }
}
