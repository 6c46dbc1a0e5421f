public import Logging
public import Reactor
public import SmartStack

/// Answers health questions from the operators' downtimes, the cache or a live check.
///
/// An agent in the same process needs no socket for its questions; see ``EmbeddedHacheck``.
@LoopActor public final class HacheckService {
  private let configuration: HacheckConfiguration
  private let clock: LoopClock
  let engine: CheckEngine
  private let routes: HacheckRoutes
  private var listener: HTTPListener?
  private var sweeper: Ticker?

  /// How often answers that are no good any more are looked for.
  private static let sweepInterval = Duration.seconds(30)

  /// A service that neither listens nor reads its spool yet.
  public init(configuration: HacheckConfiguration, clock: LoopClock = .system, logger: Logger, metrics: Metrics) {
    self.configuration = configuration
    self.clock = clock
    engine = CheckEngine(configuration: configuration, clock: clock, logger: logger, metrics: metrics)
    routes = HacheckRoutes(engine: engine, configuration: configuration, clock: clock, metrics: metrics)
    raiseDescriptorLimit(logger)
  }

  /// A check and its asker take a descriptor each; what else the process has open is little. The operator's own
  /// limit stands.
  private func raiseDescriptorLimit(_ logger: Logger) {
    guard configuration.descriptorLimit == nil else { return }
    let wanted = 2 * configuration.checksInAll + 1024
    let limit = ThisProcess.raiseDescriptorLimit(to: wanted)
    if limit < wanted {
      logger.warning(
        "open-file limit is too low for max_checks", with: [.reason: "the limit is \(limit), \(wanted) are needed"])
    }
  }

  /// The address that this host's name resolves to, for ``HacheckConfiguration/hostAddress``; nil if it
  /// resolves to none. ``open()`` looks it up by itself, but does not wait for it.
  public static func resolveHostAddress() async -> String? { await OwnAddresses.resolveHost() }

  // MARK: Life

  /// Reads and watches the spool. ``downtime(for:port:host:)`` answers from here on, with or without
  /// ``listen(adopting:)``.
  public func open() throws(OperatorError) {
    do {
      try engine.spool.open()
    } catch {
      throw OperatorError("cannot use the spool \(configuration.spoolRoot): \(error)")
    }
    sweeper = Ticker(every: HacheckService.sweepInterval, phase: HacheckService.sweepInterval, clock: clock) {
      [weak self] _ in self?.engine.sweep()
    }
    guard configuration.hostAddress == nil else { return }
    Task { @LoopActor in engine.own.setHost(await OwnAddresses.resolveHost()) }
  }

  /// Listens on the configured ports. May be called again after it threw.
  /// - Parameter adopting: listening sockets of a former self, taken over in place of the ports.
  /// - Returns: the ports, with those that were 0 resolved; none for adopted sockets.
  /// - Throws: a sentence that names the port or the Unix socket; worth another try later.
  @discardableResult public func listen(adopting descriptors: [Int32] = []) throws(OperatorError) -> [Int] {
    let listener = HTTPListener(limits: limits, hostNames: configuration.pageHosts) { [weak self] exchange in
      self?.routes.handle(exchange)
    }
    do {
      for descriptor in descriptors { try listener.adopt(descriptor: descriptor) }
      var ports: [Int] = []
      for port in descriptors.isEmpty ? configuration.ports : [] {
        let bound = try listener.listen(on: .tcp(host: configuration.bindAddress, port: port))
        if case .tcp(_, let port) = bound { ports.append(port) }
      }
      if let path = configuration.unixSocket, descriptors.isEmpty {
        try listener.listen(on: .unix(path: path), mode: configuration.unixSocketMode)
      }
      self.listener = listener
      return ports
    } catch {
      listener.close()
      throw listenFailure(error)
    }
  }

  private func listenFailure(_ error: any Error) -> OperatorError {
    let address = configuration.bindAddress
    let problem =
      switch error {
      case ListenError.addressInUse(.tcp(_, let port)):
        "on \(address) port \(port): another program does (an old hacheck?)"
      case ListenError.failed(.tcp(_, let port), let reason): "on \(address) port \(port): \(reason)"
      case ListenError.addressInUse(.unix(let path)):
        "on the Unix socket \(path): another program does, or something else is there"
      case ListenError.failed(.unix(let path), let reason): "on the Unix socket \(path): \(reason)"
      default: "on \(address) port 0: \(error)"
      }
    return OperatorError("cannot listen \(problem)")
  }

  private var limits: HTTPServerLimits {
    // Half of the descriptors stay for live checks and files, whoever fills the port with connections.
    let descriptors = ProcessStatistics.descriptorLimit
    let most =
      descriptors > 0 ? min(configuration.maxConnections, max(1, descriptors / 2)) : configuration.maxConnections
    return HTTPServerLimits {
      $0.maxConnections = most
      $0.maxPerAddress = max(1, most * 3 / 4)
      $0.requestTimeout = configuration.requestTimeout
    }
  }

  /// Stops listening and watching. Live checks under way still answer their callers.
  public func stop() {
    listener?.close()
    listener = nil
    sweeper?.cancel()
    sweeper = nil
    engine.spool.close()
  }

  /// Accepts nothing more and answers what has been asked, within `limit`; the listening sockets stay open for a
  /// successor, and what connects meanwhile waits for it.
  public func retire(within limit: Duration) async { await listener?.retire(within: limit) }

  /// The listening sockets, for a successor in this process's place.
  public var descriptors: [Int32] { listener?.descriptors ?? [] }

  // MARK: The page

  /// Has the page show these agents' reports beside hacheck's own, the most important one first.
  public func show(agents: @escaping @LoopActor () async -> [JSONValue]) { routes.pages.agents = agents }

  /// Answers a request for the page that came to another port.
  public func answerPage(_ exchange: HTTPExchange) { routes.pages.handle(exchange) }

  // MARK: Questions

  /// The active downtime of an instance: `all`, the service's, or its own, in that order.
  /// - Parameters:
  ///   - port: nil asks for `all` and the service only.
  ///   - host: nil, 127.0.0.1 and this machine's own address are the same.
  public func downtime(for service: String, port: Int?, host: String? = nil) -> Downtime? {
    let address = host.flatMap(IPAddress.init)?.unmapped
    let isHere = host == nil || host == "127.0.0.1" || (address != nil && address == engine.own.host)
    return engine.spool.downtime(for: service, port: port, host: isHere ? nil : address?.description ?? host)
  }

  /// Calls `body` on the loop, after the fact, with the scopes whose downtimes were added, changed or removed:
  /// by `POST`, by the tools, by an editor, or because their time was up.
  /// - Returns: ends the calls.
  public func onSpoolChange(_ body: @escaping @LoopActor (Set<SpoolScope>) -> Void) -> @LoopActor () -> Void {
    engine.spool.observe(body)
  }
}
