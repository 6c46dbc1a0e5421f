internal import CEvent
internal import Glibc
internal import SmartStack

/// A socket address in the kernel's own form.
struct SocketAddress: Hashable, Sendable {
  private let bytes: [UInt8]

  init(_ address: UnsafePointer<sockaddr>, length: Int) {
    bytes = Array(UnsafeRawBufferPointer(start: address, count: length))
  }

  /// nil when the path is too long for a Unix socket.
  init?(unixPath path: String) {
    var address = sockaddr_un()
    let capacity = MemoryLayout.size(ofValue: address.sun_path)
    guard path.utf8.count < capacity, !path.utf8.contains(0) else { return nil }
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    bytes = withUnsafeBytes(of: &address) { Array($0) }
  }

  /// The address a socket is bound to, or its peer's.
  init?(
    of descriptor: Int32, _ query: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
  ) {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let code = withUnsafeMutablePointer(to: &storage) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { query(descriptor, $0, &length) }
    }
    guard code == 0 else { return nil }
    bytes = withUnsafeBytes(of: &storage) { Array($0.prefix(Int(length))) }
  }

  var family: Int32 {
    bytes.withUnsafeBytes { $0.count >= 2 ? Int32($0.loadUnaligned(as: sa_family_t.self)) : AF_UNSPEC }
  }

  func withPointer<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Result) rethrows -> Result {
    try bytes.withUnsafeBytes { raw in
      guard let base = raw.baseAddress else { preconditionFailure("a socket address is never empty") }
      return try body(base.assumingMemoryBound(to: sockaddr.self), socklen_t(raw.count))
    }
  }

  /// Whether `host` is an address, and no name.
  static func isNumeric(_ host: String) -> Bool {
    (try? lookUp(host: host, port: 0, of: .tcp(host: host, port: 0), flags: AI_NUMERICHOST)) != nil
  }

  /// Whether this host has a route to a numeric IPv6 address: a datagram socket that connects sends nothing.
  static func hasRoute(to host: String) -> Bool {
    let found = try? lookUp(host: host, port: 9, of: .tcp(host: host, port: 9), flags: AI_NUMERICHOST)
    return found?.first?.hasSource == true
  }

  /// A new socket for this address, close-on-exec and not blocking; negative, with `errno`, when there can be none.
  func makeSocket(_ type: __socket_type = SOCK_STREAM) -> Int32 {
    socket(family, Int32(type.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
  }

  /// Whether this host has an address from which packets go there.
  var hasSource: Bool {
    let probe = makeSocket(SOCK_DGRAM)
    defer { if probe >= 0 { close(probe) } }
    return probe >= 0 && withPointer { connect(probe, $0, $1) } == 0
  }

  /// Host without port; an IPv4 address mapped into IPv6 is written as IPv4. nil for Unix sockets.
  var host: String? {
    switch family {
    case AF_INET: IPAddress(bytes: bytes.dropFirst(4).prefix(4))?.description
    case AF_INET6: IPAddress(bytes: bytes.dropFirst(8).prefix(16))?.unmapped.description
    default: nil
    }
  }

  /// The port of a TCP address, else 0. Big-endian, at the same place in both families.
  var port: Int { bytes.count >= 4 && family != AF_UNIX ? Int(bytes[2]) << 8 | Int(bytes[3]) : 0 }
}

extension SocketAddress {
  /// The system's look-up. It blocks for a name, so the loop only gives it addresses.
  static func lookUp(
    host: String, port: Int, of endpoint: Endpoint, flags: Int32
  ) throws(StreamError) -> [SocketAddress] {
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = flags | AI_NUMERICSERV
    var list: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(host, String(port), &hints, &list)
    defer { if let list { freeaddrinfo(list) } }
    guard code == 0 else {
      let reason = code == EAI_SYSTEM ? errorText(errno) : String(cString: gai_strerror(code))
      throw .refused(endpoint, reason: "the name does not resolve: \(reason)")
    }
    var found: [SocketAddress] = []
    var next = list
    while let entry = next {
      if let address = entry.pointee.ai_addr {
        found.append(SocketAddress(address, length: Int(entry.pointee.ai_addrlen)))
      }
      next = entry.pointee.ai_next
    }
    guard !found.isEmpty else { throw .refused(endpoint, reason: "the name has no address") }
    return found
  }
}
