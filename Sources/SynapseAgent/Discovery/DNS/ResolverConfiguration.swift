internal import Reactor
internal import SmartStack

/// Whom to ask for names, and how.
struct ResolverConfiguration: Hashable, Sendable {
  /// Numeric hosts; asked in turn.
  var nameservers: [Endpoint]
  /// Appended to names that are not complete.
  var search: [String] = []
  /// A name with fewer dots than this is looked for below `search` first.
  var ndots = 1
  /// For one server's answer.
  var timeout: Duration = .seconds(5)
  /// Rounds through the servers.
  var attempts = 2

  /// The servers given, and nothing of the system's.
  init(nameservers: [Endpoint]) { self.nameservers = nameservers }

  /// The text of `/etc/resolv.conf`; what cannot be understood is left out, as resolvers do.
  init(resolvConf text: String) {
    nameservers = []
    for line in text.split(whereSeparator: \.isNewline) {
      let words = line.prefix { $0 != "#" && $0 != ";" }.split(whereSeparator: \.isWhitespace).map(String.init)
      guard let key = words.first else { continue }
      let values = words.dropFirst()
      switch key {
      case "nameserver":
        // A zone (`fe80::1%eth0`) is kept: getaddrinfo knows how to read it.
        guard let host = values.first, ServerText.isAddress(String(host.prefix { $0 != "%" })) else { break }
        nameservers.append(.tcp(host: host, port: 53))
      case "search", "domain": search = values.filter(ServerText.isDNSName)
      case "options": for value in values { take(option: value) }
      default: break
      }
    }
    if nameservers.isEmpty { nameservers = [.tcp(host: "127.0.0.1", port: 53)] }
  }

  private mutating func take(option: String) {
    let parts = option.split(separator: ":", maxSplits: 1)
    guard parts.count == 2, let number = Int(parts[1]), number >= 0 else { return }
    switch parts[0] {
    case "ndots": ndots = min(number, 15)
    case "timeout": timeout = .seconds(min(max(number, 1), 30))
    case "attempts": attempts = min(max(number, 1), 5)
    default: break
    }
  }

  /// The names to ask for, in order, when `name` is looked for.
  func candidates(for name: String) -> [String] {
    if name.hasSuffix(".") { return [String(name.dropLast())] }
    let below = search.map { "\(name).\($0)" }
    let dots = name.utf8.count { $0 == UInt8(ascii: ".") }
    return dots >= ndots ? [name] + below : below + [name]
  }
}
