internal import Glibc

/// This host's name, and the IPv4 address it stands for.
public struct HostIdentity: Equatable, Sendable {
  /// What `hostname` prints.
  public var name: String
  /// nil when the name has no IPv4 address.
  public var address: String?

  /// A host of a known name and address.
  public init(name: String, address: String?) { (self.name, self.address) = (name, address) }

  /// Asks the system; blocks as a name look-up does.
  /// - Parameter address: what is known to be the address; nil looks it up.
  public static func look(address: String? = nil) -> HostIdentity {
    var buffer = [CChar](repeating: 0, count: 256)
    guard gethostname(&buffer, buffer.count - 1) == 0 else { return HostIdentity(name: "localhost", address: address) }
    let name = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return HostIdentity(name: name, address: address ?? resolve(name))
  }

  private static func resolve(_ name: String) -> String? {
    var hints = addrinfo()
    hints.ai_family = AF_INET
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var found: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(name, nil, &hints, &found) == 0, let first = found else { return nil }
    defer { freeaddrinfo(first) }
    var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    guard
      getnameinfo(
        first.pointee.ai_addr, first.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0
    else { return nil }
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
