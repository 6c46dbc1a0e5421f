internal import Glibc

/// Whether services can listen where they are to: HAProxy refuses to start when the address is on no interface.
enum BindAddress {
  /// What the package sets, and has a unit for.
  private static let packaged = "169.254.255.254"

  /// A sentence with the command that helps; nil if there is nothing to say.
  static func problem(_ address: String) -> String? {
    guard isAddress(address), !["0.0.0.0", "::"].contains(address), !address.hasPrefix("127."),
      let here = addresses(), !here.contains(address)
    else { return nil }
    let length = address.contains(":") ? 128 : 32
    let unit = address == packaged ? " (with the package: systemctl start smartstack-yocalhost)" : ""
    return "bind_addr \(address) is on no interface of this host, so HAProxy cannot listen there; "
      + "give it to the loopback interface: ip address add \(address)/\(length) dev lo\(unit)"
  }

  private static func isAddress(_ text: String) -> Bool {
    var buffer = [UInt8](repeating: 0, count: 16)
    return inet_pton(AF_INET, text, &buffer) == 1 || inet_pton(AF_INET6, text, &buffer) == 1
  }

  /// Every address of this host in the usual notation; nil when the system does not say.
  private static func addresses() -> Set<String>? {
    var list: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&list) == 0 else { return nil }
    defer { freeifaddrs(list) }
    var found: Set<String> = []
    var next = list
    while let entry = next?.pointee {
      next = entry.ifa_next
      guard let address = entry.ifa_addr else { continue }
      let family = Int32(address.pointee.sa_family)
      guard family == AF_INET || family == AF_INET6 else { continue }
      let size = family == AF_INET ? MemoryLayout<sockaddr_in>.size : MemoryLayout<sockaddr_in6>.size
      var name = [CChar](repeating: 0, count: Int(NI_MAXHOST))
      guard
        getnameinfo(address, socklen_t(size), &name, socklen_t(name.count), nil, 0, NI_NUMERICHOST) == 0
      else { continue }
      let text = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      found.insert(text.split(separator: "%").first.map(String.init) ?? text)
    }
    return found
  }
}
