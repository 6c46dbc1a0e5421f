public import Logging
public import Reactor
public import SmartStack

/// Why hacheck could not start.
public enum HacheckError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Somebody else listens there; trying again later may succeed.
  case portTaken(address: String, port: Int)
  /// The address cannot be listened on.
  case cannotListen(address: String, port: Int, reason: String)
  /// The Unix socket cannot be listened on.
  case cannotListenAt(path: String, reason: String)
  /// The spool cannot be read or watched.
  case spoolUnusable(path: String, reason: String)

  /// What is wrong and what to look at.
  public var description: String {
    switch self {
    case .portTaken(let address, let port):
      "cannot listen on \(address) port \(port): another program does (an old hacheck?)"
    case .cannotListen(let address, let port, let reason): "cannot listen on \(address) port \(port): \(reason)"
    case .cannotListenAt(let path, let reason): "cannot listen on the Unix socket \(path): \(reason)"
    case .spoolUnusable(let path, let reason): "cannot use the spool \(path): \(reason)"
    }
  }

  init(_ error: any Error, address: String) {
    switch error {
    case ListenError.addressInUse(.tcp(_, let port)): self = .portTaken(address: address, port: port)
    case ListenError.failed(.tcp(_, let port), let reason):
      self = .cannotListen(address: address, port: port, reason: reason)
    case ListenError.addressInUse(.unix(let path)):
      self = .cannotListenAt(path: path, reason: "another program does, or something else is there")
    case ListenError.failed(.unix(let path), let reason): self = .cannotListenAt(path: path, reason: reason)
    default: self = .cannotListen(address: address, port: 0, reason: "\(error)")
    }
  }
}

/// Answers health questions from the operators' marks, the cache or a live check.
///
/// The HTTP face and ``check(_:)`` are the same path; an agent in the same process needs no socket.
@LoopActor public final class HacheckService {
  private let configuration: HacheckConfiguration
  private let clock: LoopClock
  private let engine: CheckEngine
  private let face: HTTPFace
  private var listener: HTTPListener?
  private var sweeper: Ticker?

  /// How often answers that are no good any more are looked for.
  private static let sweepInterval = Duration.seconds(30)

  /// A service that neither listens nor reads its spool yet.
  public init(configuration: HacheckConfiguration, clock: LoopClock = .system, logger: Logger, metrics: Metrics) {
    self.configuration = configuration
    self.clock = clock
    engine = CheckEngine(configuration: configuration, clock: clock, logger: logger, metrics: metrics)
    face = HTTPFace(
      engine: engine, configuration: configuration, clock: clock, logger: logger, metrics: metrics)
    publish(metrics)
    face.publish(metrics)
    ProcessMetrics.publish(in: metrics)
    makeRoom(logger)
  }

  /// A check and its asker take a descriptor each; what else the process has open is little. The operator's own
  /// limit stands.
  private func makeRoom(_ logger: Logger) {
    guard configuration.descriptorLimit == nil else { return }
    let wanted = 2 * configuration.checksInAll + 1024
    let limit = ThisProcess.raiseDescriptorLimit(to: wanted)
    if limit < wanted {
      logger.warning(
        "few descriptors for max_checks", [.reason: "the hard limit is \(limit), \(wanted) would do for all of them"])
    }
  }

  /// The address that this host's name resolves to, for ``HacheckConfiguration/hostAddress``; nil if it
  /// resolves to none. ``open()`` looks it up by itself, but does not wait for it.
  public static func resolveHostAddress() async -> String? { await OwnAddresses.resolveHost() }

  // MARK: Life

  /// Reads and watches the spool. ``check(_:)`` and ``mark(for:port:host:)`` answer from here on, with or
  /// without ``listen(adopting:)``.
  /// - Throws: ``HacheckError/spoolUnusable(path:reason:)``.
  public func open() throws(HacheckError) {
    try engine.spool.open()
    sweeper = Ticker(every: HacheckService.sweepInterval, phase: HacheckService.sweepInterval, clock: clock) {
      [weak self] _ in
      self?.engine.cache.sweep()
      self?.face.sweep()
    }
    guard configuration.hostAddress == nil else { return }
    Task { @LoopActor in engine.own.setHost(await OwnAddresses.resolveHost()) }
  }

  /// Listens on the configured ports. May be called again after it threw.
  /// - Parameter adopting: listening sockets of a former self, taken over in place of the ports.
  /// - Returns: the ports, with those that were 0 resolved; none for adopted sockets.
  /// - Throws: ``HacheckError/portTaken(address:port:)``, worth another try later, or
  ///   ``HacheckError/cannotListen(address:port:reason:)``.
  @discardableResult public func listen(adopting descriptors: [Int32] = []) throws(HacheckError) -> [Int] {
    let listener = HTTPListener(limits: limits) { [weak self] exchange in self?.face.handle(exchange) }
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
      throw HacheckError(error, address: configuration.bindAddress)
    }
  }

  private var limits: HTTPServerLimits {
    // Half of the descriptors stay for live checks and files, whoever fills the port with connections.
    let descriptors = ProcessStatistics.descriptorLimit
    let most =
      descriptors > 0 ? min(configuration.maxConnections, max(1, descriptors / 2)) : configuration.maxConnections
    return HTTPServerLimits(maxConnections: most, requestTimeout: configuration.requestTimeout)
  }

  /// ``open()``, then ``listen(adopting:)``.
  /// - Returns: the ports listened on.
  @discardableResult public func start() throws(HacheckError) -> [Int] {
    try open()
    return try listen()
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

  // MARK: Questions

  /// Answers one question, as `GET` would, without a socket.
  public func check(_ request: CheckRequest) async -> CheckAnswer { await face.check(request) }

  /// The mark that is in force for an instance now: `all`, the service's, or its own, in that order.
  /// - Parameters:
  ///   - port: nil asks for `all` and the service only.
  ///   - host: nil, 127.0.0.1 and this machine's own address are the same.
  public func mark(for service: String, port: Int?, host: String? = nil) -> SpoolMark? {
    let address = host.flatMap(IPAddress.init)?.unmapped
    let isHere = host == nil || host == "127.0.0.1" || (address != nil && address == engine.own.host)
    return engine.spool.mark(for: service, port: port, host: isHere ? nil : address?.description ?? host)
  }

  /// Calls `body` on the loop, after the fact, with the scopes whose marks appeared, changed or went:
  /// by `POST`, by the tools, by an editor, or because their time was up.
  public func onSpoolChange(_ body: @escaping @LoopActor (Set<SpoolScope>) -> Void) -> SpoolObservation {
    engine.spool.observe(body)
  }

  /// Sets a mark, as `POST` with `status=down` does; in force and on the disk when it returns.
  /// - Parameters:
  ///   - expiration: seconds since 1970; nil for never.
  ///   - creation: nil is now, or what it was if the same reason is in force already.
  /// - Throws: what the disk said.
  public func markDown(
    _ scope: SpoolScope, reason: String, expiration: Double? = nil, creation: Double? = nil
  ) async throws {
    try await engine.spool.down(scope, reason: reason, expiration: expiration, creation: creation)
  }

  /// Lifts a mark, as `POST` with `status=up` does; harmless if there is none.
  /// - Throws: what the disk said.
  public func markUp(_ scope: SpoolScope) async throws { try await engine.spool.up(scope) }

  // MARK: Metrics

  private func publish(_ metrics: Metrics) {
    metrics.onRender { [weak self] metrics in
      guard let engine = self?.engine else { return }
      let cache = engine.cache.statistics
      metrics.gauge("hacheck_cache_entries", help: "Answers kept.").value = Double(engine.cache.count)
      metrics.counter("hacheck_cache_hits_total", help: "Questions answered from the cache.").raise(
        to: Double(cache.hits))
      metrics.counter("hacheck_cache_misses_total", help: "Questions that took a live check.").raise(
        to: Double(cache.misses))
      metrics.gauge("hacheck_checks_in_flight", help: "Live checks under way.").value = Double(engine.slots.busyCount)
      metrics.gauge("hacheck_checks_waiting", help: "Live checks waiting for a slot.").value =
        Double(engine.slots.waitingCount)
      let marks = engine.spool.countByScope
      for (scope, count) in [("all", marks.everything), ("service", marks.service), ("instance", marks.instance)] {
        metrics.gauge("hacheck_downtimes", labels: ["scope": scope], help: "Active downtimes.").value = Double(count)
      }
    }
  }
}

/// Keeps an observer of the spool registered.
@LoopActor public final class SpoolObservation {
  private var forget: (@LoopActor () -> Void)?

  init(_ forget: @escaping @LoopActor () -> Void) { self.forget = forget }

  /// Ends the calls. Letting go of the observation does not.
  public func cancel() {
    forget?()
    forget = nil
  }
}
