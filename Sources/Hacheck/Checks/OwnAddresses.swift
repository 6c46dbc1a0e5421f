internal import Glibc
internal import Reactor

/// Which addresses are this machine's.
@LoopActor final class OwnAddresses {
  private let clock: LoopClock
  private var interfaces: Set<IPAddress> = []
  private var readAt: LoopClock.Instant?
  /// The address the host's name stands for; it is probed, and marked, as 127.0.0.1.
  private(set) var host: IPAddress?

  /// An address that came up is known after this long.
  private static let staleAfter = Duration.seconds(5)

  init(host: String?, clock: LoopClock) {
    self.host = host.flatMap(IPAddress.init)
    self.clock = clock
  }

  /// Sets the address of ``host``.
  func setHost(_ address: String?) { host = address.flatMap(IPAddress.init) }

  /// Whether `address` is loopback or on one of this machine's interfaces now.
  func contains(_ address: IPAddress) -> Bool {
    if address.isLoopback || address == host { return true }
    if interfaces.contains(address) { return true }
    if let readAt, clock.now - readAt < OwnAddresses.staleAfter { return false }
    readAt = clock.now
    interfaces = OwnAddresses.readInterfaces()
    return interfaces.contains(address)
  }

  /// The address that this host's name resolves to; nil if it does not.
  static func resolveHost() async -> String? {
    try? await BlockingWork.run { OwnAddresses.resolveHostBlocking() }
  }

  /// The same for programs that have nothing to do before they know it: blocks.
  nonisolated static func resolveHostBlocking() -> String? {
    var name = [CChar](repeating: 0, count: 256)
    guard gethostname(&name, name.count - 1) == 0 else { return nil }
    var hints = addrinfo()
    hints.ai_family = AF_INET
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var found: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(name, nil, &hints, &found) == 0, let found else { return nil }
    defer { freeaddrinfo(found) }
    return address(found.pointee.ai_addr)?.description
  }

  private nonisolated static func readInterfaces() -> Set<IPAddress> {
    var list: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&list) == 0 else { return [] }
    defer { freeifaddrs(list) }
    var found: Set<IPAddress> = []
    var next = list
    while let entry = next {
      if let address = address(entry.pointee.ifa_addr) { found.insert(address) }
      next = entry.pointee.ifa_next
    }
    return found
  }

  private nonisolated static func address(_ socket: UnsafePointer<sockaddr>?) -> IPAddress? {
    guard let socket else { return nil }
    switch Int32(socket.pointee.sa_family) {
    case AF_INET: return socket.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { IPAddress($0.pointee.sin_addr) }
    case AF_INET6:
      return socket.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { IPAddress($0.pointee.sin6_addr) }
    default: return nil
    }
  }
}
