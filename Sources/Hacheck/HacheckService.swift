public import Logging
public import Reactor
public import SmartStack

/// Why hacheck could not start.
public enum HacheckError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Somebody else listens there; trying again later may succeed.
  case portTaken(address: String, port: Int)
  /// The address cannot be listened on.
  case cannotListen(address: String, port: Int, reason: String)
  /// The spool cannot be read or watched.
  case spoolUnusable(path: String, reason: String)

  /// What is wrong and what to look at.
  public var description: String {
    switch self {
    case .portTaken(let address, let port):
      "cannot listen on \(address) port \(port): another program does (an old hacheck?)"
    case .cannotListen(let address, let port, let reason): "cannot listen on \(address) port \(port): \(reason)"
    case .spoolUnusable(let path, let reason): "cannot use the spool \(path): \(reason)"
    }
  }
}

/// Answers health questions from the operators' marks, the cache or a live check.
///
/// The HTTP face and ``check(_:)`` are the same path; an agent in the same process needs no socket.
@LoopActor public final class HacheckService {
  private let configuration: HacheckConfiguration
  private let clock: LoopClock
  private let logger: Logger
  private let metrics: Metrics

  /// A service that neither listens nor reads its spool yet.
  public init(configuration: HacheckConfiguration, clock: LoopClock = .system, logger: Logger, metrics: Metrics) {
    self.configuration = configuration
    self.clock = clock
    self.logger = logger
    self.metrics = metrics
  }

  /// Reads and watches the spool. ``check(_:)`` and ``mark(for:port:host:)`` answer from here on, with or
  /// without ``listen()``.
  /// - Throws: ``HacheckError/spoolUnusable(path:reason:)``.
  public func open() throws(HacheckError) {}

  /// Listens on the configured ports. May be called again after it threw.
  /// - Returns: the ports, with those that were 0 resolved.
  /// - Throws: ``HacheckError/portTaken(address:port:)``, worth another try later, or
  ///   ``HacheckError/cannotListen(address:port:reason:)``.
  @discardableResult public func listen() throws(HacheckError) -> [Int] { [] }

  /// ``open()``, then ``listen()``.
  public func start() throws(HacheckError) {
    try open()
    try listen()
  }

  /// Stops listening and watching. Live checks under way still answer their callers.
  public func stop() {}

  /// Answers one question, as `GET` would, without a socket.
  public func check(_ request: CheckRequest) async -> CheckAnswer { CheckAnswer(status: 503) }

  /// The mark that is in force for an instance now: `all`, the service's, or its own, in that order.
  /// - Parameters:
  ///   - port: nil asks for `all` and the service only.
  ///   - host: nil, 127.0.0.1 and this machine's own address are the same.
  public func mark(for service: String, port: Int?, host: String? = nil) -> SpoolMark? { nil }

  /// Calls `body` on the loop, after the fact, with the scopes whose marks appeared, changed or went:
  /// by `POST`, by the tools, by an editor, or because their time was up.
  public func onSpoolChange(_ body: @escaping @LoopActor (Set<SpoolScope>) -> Void) -> SpoolObservation {
    SpoolObservation {}
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
