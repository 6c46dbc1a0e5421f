internal import Glibc

/// The addresses of this machine's interfaces.
public enum LocalAddresses {
  /// As numbers print them, without zones: `10.0.0.5`, `fe80::1`.
  public static func current() -> Set<String> {
    var first: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&first) == 0 else { return [] }
    defer { freeifaddrs(first) }
    var addresses: Set<String> = []
    var next = first
    while let entry = next?.pointee {
      if let text = text(entry.ifa_addr) { addresses.insert(text) }
      next = entry.ifa_next
    }
    return addresses
  }

  private static func text(_ address: UnsafeMutablePointer<sockaddr>?) -> String? {
    guard let address else { return nil }
    let family = Int32(address.pointee.sa_family)
    guard family == AF_INET || family == AF_INET6 else { return nil }
    let length = family == AF_INET ? MemoryLayout<sockaddr_in>.size : MemoryLayout<sockaddr_in6>.size
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(NI_MAXHOST)) { host in
      let code = getnameinfo(
        address, socklen_t(length), host.baseAddress, socklen_t(host.count), nil, 0, NI_NUMERICHOST)
      guard code == 0, let base = host.baseAddress else { return nil }
      return String(cString: base).split(separator: "%").first.map(String.init)
    }
  }
}
