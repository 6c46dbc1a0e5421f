internal import HAProxyConfigGen
internal import HAProxyRuntime
internal import Logging
internal import Reactor
internal import SmartStack

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
  /// What the file held when the agent started.
  private let saved: ServerMemory?
  /// The last writing, and the model's revision that it held; nil: unknown.
  private var lastWrite: (at: LoopClock.Instant, took: Duration)?
  private var revision: Int?
  /// Whether it is to be written again although nothing has changed: its age shows that the agent lives.
  private var isOld = false

  init(
    _ configuration: HAProxyConfiguration, saved: ServerMemory?, wanted: WantedModel, clock: LoopClock, logger: Logger
  ) {
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
      try await BlockingWork.run {
        try Files.write(parts: model.stateFile(now: now), to: path, mode: 0o644, sync: false)
      }
    } catch {
      logger.error("state file write failed", with: [.path: path, .reason: "\(error)"])
    }
    lastWrite = (clock.now, clock.now - start)
  }

  /// The servers that services had when the agent started, so that nothing that serves is emptied.
  /// - Returns: by service, from what HAProxy runs; from the state file where it does not run the service.
  func remembered(_ services: [ServiceSettings], sockets: [ProxySocket]) -> [String: [Backend]] {
    let now = Int(clock.unixTime)
    var remembered: [String: [Backend]] = [:]
    for service in services {
      if let running = sockets.lazy.compactMap({ $0.running?.backends[service.backendSection] }).first {
        remembered[service.service] = servers(running: running, of: service.service)
      } else {
        remembered[service.service] = saved?.servers(of: service.service, ttl: timeToLive, now: now) ?? []
      }
    }
    return remembered
  }

  /// The servers that a running backend has in service, with all that the model or the state file knows of them.
  private func servers(running backend: [String: RunningServer], of service: String) -> [Backend] {
    backend.sorted { $0.value.id < $1.value.id }.flatMap { name, server -> [Backend] in
      guard server.isInService else { return [] }
      let known = wanted.model.memory.server(name, of: service) ?? saved?.server(name, of: service)
      return known.map { [$0] } ?? StateFile.servers(running: [name: server])
    }
  }

  nonisolated static func servers(running backend: [String: RunningServer]) -> [Backend] {
    backend.sorted { $0.value.id < $1.value.id }.compactMap { name, server in
      guard let address = server.address, server.isInService else { return nil }
      let host = address.contains(":") ? "[\(address)]" : address
      guard let suffix = [address, host].map({ "\($0):\(server.port)" }).first(where: name.hasSuffix) else {
        return nil
      }
      let front = name.dropLast(suffix.count)
      guard front.isEmpty || front.hasSuffix("_") else { return nil }
      return Backend(name: front.isEmpty ? nil : String(front.dropLast()), host: address, port: server.port)
    }
  }
}
