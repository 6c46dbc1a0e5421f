internal import Glibc
internal import Hacheck
internal import Logging
internal import Reactor
internal import SmartStack

/// The hacheck inside nerve: it listens on hacheck's port as soon as that is free.
///
/// The spool is read and watched from the start, so an operator's mark is an event also while an older
/// hacheck still holds the port.
@LoopActor final class EmbeddedHacheck {
  /// Between two attempts to take the port over.
  static let retryInterval = Duration.seconds(1)

  let service: HacheckService
  /// Whether the port is ours: checks are calls from then on.
  private(set) var isListening = false

  private let configuration: HacheckConfiguration
  private let clock: LoopClock
  private let logger: Logger
  private var ports: Set<Int>
  private let ownAddresses: Set<String>
  private var isOpen = false
  private var complaint: String?
  private var retry: LoopTimer?
  /// Listening sockets of the program that this one replaced.
  private var inherited: [Int32]
  private let onOpen: @LoopActor () -> Void

  /// - Parameters:
  ///   - inherited: the ``listeners`` that the program before this one left.
  ///   - onOpen: called when the spool has been read, if that does not work at the start.
  init(
    configuration: HacheckConfiguration, inherited: (descriptors: [Int32], place: String) = ([], ""),
    clock: LoopClock, logger: Logger, metrics: Metrics,
    onOpen: @escaping @LoopActor () -> Void = {}
  ) {
    self.configuration = configuration
    self.clock = clock
    self.logger = logger
    self.onOpen = onOpen
    // Sockets for another address than the configuration's are of no use any more.
    if inherited.place == EmbeddedHacheck.place(of: configuration) {
      self.inherited = inherited.descriptors
    } else {
      self.inherited = []
      for descriptor in inherited.descriptors { close(descriptor) }
    }
    ports = Set(configuration.ports)
    ownAddresses = Set((HostInfo.addresses ?? []).map(\.description)).union(
      [configuration.hostAddress].compactMap { $0 })
    service = HacheckService(configuration: configuration, clock: clock, logger: logger, metrics: metrics)
  }

  /// Reads the spool and listens; what does not work is said once and tried again.
  func start() {
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
        complaint == nil ? "hacheck listens" : "hacheck took the port over",
        [.port: ports.sorted().map(String.init).joined(separator: ",")])
      complaint = nil
    } catch {
      if complaint != error.description {
        complaint = error.description
        logger.warning("hacheck does not listen yet; its checks go over HTTP", [.reason: error])
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
  var listeners: (descriptors: [Int32], place: String) {
    (service.descriptors, EmbeddedHacheck.place(of: configuration))
  }

  /// Port 0 is another one with every start, so only fixed ports are worth handing over.
  private static func place(of configuration: HacheckConfiguration) -> String {
    "\(configuration.bindAddress) \(configuration.ports.map(String.init).joined(separator: ","))"
  }

  /// Stops listening and watching.
  func stop() {
    retry?.cancel()
    isListening = false
    service.stop()
  }

  /// Whether an http check at this address means us.
  func isOwn(host: String, port: Int) -> Bool {
    guard ports.contains(port) else { return false }
    switch configuration.bindAddress {
    case "0.0.0.0": return host == "localhost" || host.hasPrefix("127.") || ownAddresses.contains(host)
    case "::": return host == "localhost" || host == "::1" || ownAddresses.contains(host)
    case "127.0.0.1" where host == "localhost": return true
    case let bound: return host == bound
    }
  }
}
