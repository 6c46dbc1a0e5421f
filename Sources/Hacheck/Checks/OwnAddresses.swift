internal import Reactor
internal import SmartStack

/// Which addresses are this machine's.
@LoopActor final class OwnAddresses {
  private let clock: LoopClock
  private var interfaces: Set<IPAddress> = []
  private var readAt: LoopClock.Instant?
  /// The address the host's name stands for; checks and downtimes name it 127.0.0.1.
  private(set) var host: IPAddress?

  /// An address that came up is known after this long.
  private static let staleAfter = Duration.seconds(5)

  init(host: String?, clock: LoopClock) {
    self.host = host.flatMap(IPAddress.init)?.unmapped
    self.clock = clock
  }

  func setHost(_ address: String?) { host = address.flatMap(IPAddress.init)?.unmapped }

  /// Whether `address` is loopback or on one of this machine's interfaces now.
  func contains(_ address: IPAddress) -> Bool {
    if address.isLoopback || address == host { return true }
    if interfaces.contains(address) { return true }
    if let readAt, clock.now - readAt < OwnAddresses.staleAfter { return false }
    readAt = clock.now
    interfaces = HostInfo.addresses ?? []
    return interfaces.contains(address)
  }

  /// The address that this host's name resolves to; nil if it does not.
  static func resolveHost() async -> String? {
    try? await BlockingWork.names.run { HostInfo.name.flatMap(HostInfo.address(ofHost:))?.description }
  }
}
