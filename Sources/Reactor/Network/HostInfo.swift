internal import CEvent
internal import Glibc
public import SmartStack

/// Facts about this machine that the system knows.
public enum HostInfo {
  /// The name this machine has by itself, as `hostname` prints it; nil when the system does not say.
  public static var name: String? {
    var name = [CChar](repeating: 0, count: 256)
    guard gethostname(&name, name.count - 1) == 0 else { return nil }
    return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Every address of this machine's interfaces; nil when the system does not say.
  public static var addresses: Set<IPAddress>? {
    var list: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&list) == 0 else { return nil }
    defer { freeifaddrs(list) }
    var found: Set<IPAddress> = []
    var next = list
    while let entry = next {
      if let address = entry.pointee.ifa_addr.flatMap({ address(of: $0) }) { found.insert(address) }
      next = entry.pointee.ifa_next
    }
    return found
  }

  /// The IPv4 address that `name` stands for; nil if there is none. Blocks as a name look-up does.
  public static func address(ofHost name: String) -> IPAddress? {
    var hints = addrinfo()
    hints.ai_family = AF_INET
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var found: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(name, nil, &hints, &found) == 0, let found else { return nil }
    defer { freeaddrinfo(found) }
    return address(of: found.pointee.ai_addr)
  }

  private static func address(of socket: UnsafePointer<sockaddr>) -> IPAddress? {
    switch Int32(socket.pointee.sa_family) {
    case AF_INET:
      socket.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { address in
        withUnsafeBytes(of: address.pointee.sin_addr) { IPAddress(bytes: $0) }
      }
    case AF_INET6:
      socket.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { address in
        withUnsafeBytes(of: address.pointee.sin6_addr) { IPAddress(bytes: $0) }
      }
    default: nil
    }
  }
}
