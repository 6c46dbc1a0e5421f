internal import HAProxyConfigGen
internal import HAProxyRuntime
internal import Logging
internal import Reactor
internal import SmartStack
internal import YAMLConfig

/// Writes the state file, which tells the next agent of servers and their ids.
///
/// What it tells is in HAProxy, too, so it may be late: with thousands of services it is expensive to write.
@LoopActor final class StateFile {
  /// Writing takes at most one part in so many of the time, while the model changes and while it does not.
  private static let share = (ofChanges: 50, atRest: 1000)
  private static let pauseLimit: Duration = .seconds(60)

  private let path: String?
  private let timeToLive: Int
  private let wanted: WantedModel
  private let clock: LoopClock
  private let logger: Logger
  /// The file's content when the agent started.
  private let saved: [UInt8]?
  /// The last writing, and the model's revision that it held; nil: unknown.
  private var lastWrite: (at: LoopClock.Instant, took: Duration)?
  private var revision: Int?
  /// Whether it is to be written again although nothing has changed: its age shows that the agent lives.
  private var isOld = false

  init(_ configuration: HAProxyConfiguration, saved: [UInt8]?, wanted: WantedModel, clock: LoopClock, logger: Logger) {
    path = configuration.stateFilePath
    timeToLive = configuration.generator.stateFileTTL
    self.saved = saved
    self.wanted = wanted
    self.clock = clock
    self.logger = logger
  }

  /// Whether it holds the model as it is.
  var isCurrent: Bool { revision == wanted.revision }

  /// Has it written again, so that its age shows that the agent lives.
  func touch() { isOld = true }

  /// Writes it if it is due.
  /// - Returns: how long to wait before it is; nil: it is not to be written again.
  func writeIfDue() async -> Duration? {
    guard path != nil, !isCurrent || isOld else { return nil }
    let wait = pauseLeft
    if wait > .zero { return wait }
    await write()
    return nil
  }

  private var pauseLeft: Duration {
    guard let lastWrite else { return .zero }
    var pause = min(lastWrite.took * StateFile.share.ofChanges, StateFile.pauseLimit)
    if isCurrent {
      // Only its age is behind: it must not reach that at which servers are forgotten.
      pause = min(lastWrite.took * StateFile.share.atRest, .seconds(timeToLive / 4))
    }
    return lastWrite.at + pause - clock.now
  }

  /// Writes the file at once.
  func write() async {
    guard let path else { return }
    let (model, now, start) = (wanted.model, Int(clock.unixTime), clock.now)
    revision = wanted.revision
    isOld = false
    do {
      try await BlockingWork.run { try Files.write(model.stateFile(now: now), to: path, mode: 0o644, sync: false) }
    } catch {
      logger.error("the state file cannot be written", with: [.path: path, .reason: "\(error)"])
    }
    lastWrite = (clock.now, clock.now - start)
  }

  /// The servers that services had when the agent started, so that nothing that serves is emptied.
  /// - Returns: by service, from the state file, else from what HAProxy runs.
  func remembered(_ services: [ServiceSettings], sockets: [ProxySocket]) -> [String: [Backend]] {
    let state = saved.flatMap { try? YAMLDocument.parse($0, file: path ?? "") }
    let now = Int(clock.unixTime)
    var remembered: [String: [Backend]] = [:]
    for service in services {
      var backends = RememberedServers.inState(state, service: service.service, timeToLive: timeToLive, now: now)
      for socket in sockets where backends.isEmpty {
        backends = RememberedServers.running(socket.running?.backends[service.backendSection])
      }
      remembered[service.service] = backends
    }
    return remembered
  }
}
