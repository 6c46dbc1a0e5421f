internal import Glibc
public import Logging
public import Reactor
public import SmartStack

/// The hacheck inside nerve: it listens on hacheck's port as soon as that is free.
///
/// The spool is read and watched from the start, so an operator's downtime is an event also while an older
/// hacheck still holds the port.
@LoopActor public final class EmbeddedHacheck {
  /// Between two attempts to take the port over.
  static let retryInterval = Duration.seconds(1)

  /// The service that answers the questions.
  public let service: HacheckService
  /// Whether the port is ours: checks are calls from then on.
  public private(set) var isListening = false

  private let configuration: HacheckConfiguration
  let clock: LoopClock
  private let logger: Logger
  private var ports: Set<Int>
  private var isOpen = false
  private var complaint: String?
  private var retry: LoopTimer?
  /// Listening sockets of the program that this one replaced.
  private var inherited: [Int32]
  private let onOpen: @LoopActor () -> Void

  /// - Parameters:
  ///   - inherited: the ``listeners`` that the program before this one left.
  ///   - onOpen: called when the spool has been read, if that does not work at the start.
  public init(
    configuration: HacheckConfiguration, inherited: (descriptors: [Int32], place: String) = ([], ""),
    clock: LoopClock, logger: Logger, metrics: Metrics,
    onOpen: @escaping @LoopActor () -> Void = {}
  ) {
    self.configuration = configuration
    self.clock = clock
    self.logger = logger
    self.onOpen = onOpen
    // Sockets for another address than the configuration's cannot be used any more.
    if inherited.place == EmbeddedHacheck.place(of: configuration) {
      self.inherited = inherited.descriptors
    } else {
      self.inherited = []
      for descriptor in inherited.descriptors { close(descriptor) }
    }
    ports = Set(configuration.ports)
    service = HacheckService(configuration: configuration, clock: clock, logger: logger, metrics: metrics)
  }

  /// Reads the spool and listens; what does not work is said once and tried again.
  public func start() {
    do {
      if !isOpen {
        try service.open()
        isOpen = true
        onOpen()
      }
      ports.formUnion(try service.listen(adopting: inherited))
      inherited = []
      isListening = true
      logger.notice(
        "hacheck listens",
        with: [.port: ports.sorted().map(String.init).joined(separator: ",")])
      complaint = nil
    } catch {
      if complaint != error.description {
        complaint = error.description
        logger.warning("hacheck cannot listen yet, its checks go over HTTP", with: [.reason: error])
      }
      retry = clock.schedule(after: EmbeddedHacheck.retryInterval) { [weak self] in self?.start() }
    }
  }

  /// Tries to get the port now instead of with the next attempt.
  /// - Returns: whether it is ours.
  func takeOver() -> Bool {
    if !isListening, retry?.isPending == true {
      retry?.cancel()
      start()
    }
    return isListening
  }

  /// The sockets for a successor in this process's place, and where they are bound.
  public var listeners: (descriptors: [Int32], place: String) {
    (service.descriptors, EmbeddedHacheck.place(of: configuration))
  }

  /// Port 0 is another one with every start, so only fixed ports are worth handing over.
  private static func place(of configuration: HacheckConfiguration) -> String {
    "\(configuration.bindAddress) \(configuration.ports.map(String.init).joined(separator: ","))"
  }

  /// Stops listening and watching.
  public func stop() {
    retry?.cancel()
    isListening = false
    service.stop()
  }

  /// Whether an http check at this address means us.
  func isOwn(host: String, port: Int) -> Bool {
    guard ports.contains(port) else { return false }
    switch configuration.bindAddress {
    case "0.0.0.0": return host == "localhost" || host != "::1" && isOwn(host)
    case "::": return host == "localhost" || !host.hasPrefix("127.") && isOwn(host)
    case "127.0.0.1" where host == "localhost": return true
    case let bound: return host == bound
    }
  }

  private func isOwn(_ host: String) -> Bool {
    IPAddress(host).map { service.engine.own.contains($0.unmapped) } == true
  }

  /// A probe that calls the hacheck of this process; nil when `settings` do not ask it a health question.
  public func probe(for settings: any ProbeSettings) -> EmbeddedHacheckProbe? {
    guard let settings = settings as? HTTPProbe.Settings, !settings.usesTLS,
      isOwn(host: settings.host, port: settings.port),
      let path = try? CheckPath(reading: settings.uri[...])
    else { return nil }
    return EmbeddedHacheckProbe(path, settings: settings, hacheck: self)
  }
}

/// An http check that points at this host's own hacheck: a call while ours listens there, HTTP while another one does.
@LoopActor public final class EmbeddedHacheckProbe: Probe {
  private let path: CheckPath
  private let headers: RequestHeaders
  private let hacheck: EmbeddedHacheck
  private let overHTTP: HTTPProbe

  init(_ path: CheckPath, settings: HTTPProbe.Settings, hacheck: EmbeddedHacheck) {
    (self.path, self.hacheck) = (path, hacheck)
    headers = .list(settings.headers)
    overHTTP = settings.httpProbe
  }

  /// The service that is asked about.
  public var service: String { path.service }

  /// The scope of a downtime of what is asked about alone.
  public var scope: SpoolScope {
    SpoolScope(service: path.service, port: path.port == 0 ? nil : path.port, host: headers.first("X-Nerve-Check-IP"))
  }

  /// The operator's downtime that covers what this check asks about.
  public var downtime: Downtime? {
    hacheck.service.downtime(
      for: path.service, port: path.port == 0 ? nil : path.port, host: headers.first("X-Nerve-Check-IP"))
  }

  /// Asks the hacheck of this process while it listens, else over HTTP.
  public func run(deadline: Duration) async -> ProbeResult {
    if !hacheck.isListening {
      let result = await overHTTP.run(deadline: deadline)
      // Perhaps the other hacheck has just exited: then it is our turn, before anybody notices.
      guard !judge(result).passed, hacheck.takeOver() else { return result }
    }
    do throws(Refusal) {
      let (engine, headers) = (hacheck.service.engine, headers)
      let question = try engine.question(path, headers: headers, peer: "127.0.0.1")
      if let outcome = engine.answerAtOnce(question) { return EmbeddedHacheckProbe.result(outcome) }
      let outcome = try? await withDeadline(after: deadline, clock: hacheck.clock) {
        await engine.answerLater(question, headers: headers)
      }
      return outcome.map(EmbeddedHacheckProbe.result) ?? .failed("no answer in time")
    } catch {
      return .answered(status: error.status, body: Array(error.sentence.utf8))
    }
  }

  private static func result(_ outcome: CheckOutcome) -> ProbeResult {
    outcome.isConclusive
      ? .answered(status: outcome.status, body: outcome.body)
      : .inconclusive(String(decoding: outcome.body, as: UTF8.self))
  }

  /// Judges as the same check over HTTP does.
  nonisolated public func judge(_ result: ProbeResult) -> (passed: Bool, detail: String) { overHTTP.judge(result) }
}
