public import SmartStack

/// One address that HAProxy is to listen on, as a `bind` line has it.
public struct ListenAddress: Hashable, Sendable, CustomStringConvertible {
  /// The part before the port, or what stands in place of both.
  public enum Host: Hashable, Sendable {
    /// Every IPv4 address: `*`, `0.0.0.0` or nothing.
    case anyIPv4
    /// Every IPv6 address, and every IPv4 address too unless `v6only` is given.
    case anyIPv6(isOnly: Bool)
    /// One address of this host.
    case address(IPAddress)
    /// A name that HAProxy looks up when it loads its file.
    case name(String)
    /// A Unix socket's path.
    case path(String)
    /// What is none of these: a name in the abstract namespace, a descriptor, a variable.
    case other(String)
  }

  /// The part before the port.
  public var host: Host
  /// On which ports; `0...0` where there are none.
  public var ports: ClosedRange<Int>
  /// Whether it is UDP, which shares no ports with TCP.
  public var isDatagram = false
  /// The network device that `interface` binds it to.
  public var interface: String?
  /// The network namespace it is in.
  public var namespace: String?
  /// `transparent`: the host need not have the address.
  public var isTransparent = false
  /// As it was written.
  public var description: String

  /// The addresses of a `bind` line.
  /// - Parameter text: all that follows `bind`: addresses between commas, then options.
  /// - Returns: those that are addresses; what else there is, HAProxy refuses.
  public static func all(inBind text: String) -> [ListenAddress] {
    var words = text.splitAtComment.plain.words[...]
    guard var first = words.popFirst() else { return [] }
    while first.hasSuffix(","), let next = words.popFirst() { first += next }
    return first.split(separator: ",").compactMap { ListenAddress(String($0), options: Array(words)) }
  }

  private init?(_ text: String, options: [String]) {
    let plain = text.filter { $0 != "\"" && $0 != "'" && $0 != "\\" }
    (description, ports) = (plain, 0...0)
    func value(_ key: String) -> String? {
      options.firstIndex(of: key).flatMap { $0 + 1 < options.count ? options[$0 + 1] : nil }
    }
    (interface, namespace) = (value("interface"), value("namespace"))
    isTransparent = options.contains("transparent")
    if plain.contains("$") || plain.isEmpty {
      host = .other(plain)
      return
    }
    let (kind, rest) = ListenAddress.kind(of: plain)
    isDatagram = kind.hasPrefix("udp") || kind.hasPrefix("quic")
    if rest.hasPrefix("/") || kind == "unix" || kind == "uxst" {
      host = .path(rest)
      return
    }
    if ["abns", "abnsz", "fd", "sockpair", "rhttp", "uxdg"].contains(kind) {
      host = .other(plain)
      return
    }
    guard let colon = rest.lastIndex(of: ":"),
      let ports = ListenAddress.ports(rest[rest.index(after: colon)...])
    else { return nil }
    self.ports = ports
    host = ListenAddress.host(
      String(rest[..<colon]), isIPv6: kind.hasSuffix("6"), isOnlyIPv6: options.contains("v6only"))
  }

  /// `ipv4@` and its like, and what follows.
  private static func kind(of text: String) -> (String, String) {
    guard let at = text.firstIndex(of: "@") else { return ("", text) }
    return (String(text[..<at]), String(text[text.index(after: at)...]))
  }

  private static func ports(_ text: Substring) -> ClosedRange<Int>? {
    let numbers = text.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
    guard let first = numbers[0], let last = numbers.count == 1 ? first : numbers[1], numbers.count <= 2,
      1...65_535 ~= first, 1...65_535 ~= last, first <= last
    else { return nil }
    return first...last
  }

  private static func host(_ text: String, isIPv6: Bool, isOnlyIPv6: Bool) -> Host {
    let plain = text.filter { $0 != "[" && $0 != "]" }
    if plain.isEmpty || plain == "*" { return isIPv6 ? .anyIPv6(isOnly: isOnlyIPv6) : .anyIPv4 }
    guard let address = IPAddress(plain)?.unmapped else { return .name(plain.lowercased()) }
    if address == IPAddress("0.0.0.0") { return .anyIPv4 }
    return address == IPAddress("::") ? .anyIPv6(isOnly: isOnlyIPv6) : .address(address)
  }

  // MARK: Two of them

  /// Whether the kernel would give both the same packets, so that two programs could not listen on both.
  public func overlaps(_ other: ListenAddress) -> Bool {
    guard isDatagram == other.isDatagram, namespace == other.namespace, ports.overlaps(other.ports) else {
      return false
    }
    if let interface, let theirs = other.interface, interface != theirs { return false }
    return ListenAddress.overlap(host, and: other.host) || ListenAddress.overlap(other.host, and: host)
  }

  /// One of the two orders.
  private static func overlap(_ host: Host, and other: Host) -> Bool {
    switch (host, other) {
    case (.anyIPv4, .anyIPv4), (.anyIPv4, .name), (.anyIPv6, .anyIPv6): true
    case (.anyIPv4, .address(let address)): !address.isIPv6
    case (.anyIPv6(let isOnly), .anyIPv4), (.anyIPv6(let isOnly), .name): !isOnly
    case (.anyIPv6(let isOnly), .address(let address)): address.isIPv6 || !isOnly
    case (.name("localhost"), .address(let address)): address == IPAddress("127.0.0.1") || address == IPAddress("::1")
    case (.address, .address), (.name, .name), (.path, .path), (.other, .other): host == other
    case (.anyIPv4, _), (.anyIPv6, _), (.address, _), (.name, _), (.path, _), (.other, _): false
    }
  }

  /// What two addresses that overlap have in common: a port each, or the name.
  var meetingPlaces: [String] {
    switch host {
    case .path(let text), .other(let text): [text]
    case .anyIPv4, .anyIPv6, .address, .name: ports.map(String.init)
    }
  }
}
