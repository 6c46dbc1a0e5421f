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
  private let onOpen: @LoopActor () -> Void

  /// - Parameter onOpen: called when the spool has been read, if that does not work at the start.
  init(
    configuration: HacheckConfiguration, clock: LoopClock, logger: Logger, metrics: Metrics,
    onOpen: @escaping @LoopActor () -> Void = {}
  ) {
    self.configuration = configuration
    self.clock = clock
    self.logger = logger
    self.onOpen = onOpen
    ports = Set(configuration.ports)
    ownAddresses = LocalAddresses.current().union([configuration.hostAddress].compactMap { $0 })
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
      ports.formUnion(try service.listen())
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
