public import Reactor
internal import SmartStack

/// An `http://` or `https://` address as a configuration file has it.
public struct WebAddress: Hashable, Sendable, CustomStringConvertible {
  /// Host and port to connect to.
  public var endpoint: Endpoint
  /// TLS with a checked certificate, for `https`.
  public var tls: TLSOptions?
  /// Path and query; `/` at least.
  public var target: String
  /// As it was written.
  public let description: String

  /// nil for anything else: another scheme, a user, a fragment, blanks or control characters.
  public init?(_ text: String) {
    guard let mark = text.firstRange(of: "://") else { return nil }
    let scheme = text[..<mark.lowerBound].lowercased()
    guard scheme == "http" || scheme == "https", text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), !text.contains("#")
    else { return nil }
    let rest = text[mark.upperBound...]
    let authority = rest.prefix { $0 != "/" && $0 != "?" }
    let path = String(rest[authority.endIndex...])
    guard let (host, port) = WebAddress.split(authority, defaultPort: scheme == "http" ? 80 : 443) else { return nil }
    endpoint = .tcp(host: host, port: port)
    tls = scheme == "https" ? TLSOptions(serverName: host, verify: true) : nil
    target = path.hasPrefix("/") ? path : "/" + path
    description = text
  }

  /// `host`, `host:port`, `v6` or `[v6]:port`.
  static func split(_ text: some StringProtocol, defaultPort: Int) -> (host: String, port: Int)? {
    var host = String(text)
    var port = defaultPort
    if host.hasPrefix("["), let end = host.firstIndex(of: "]") {
      let after = host[host.index(after: end)...]
      guard after.isEmpty || after.hasPrefix(":") else { return nil }
      if !after.isEmpty {
        guard let number = Int(after.dropFirst()) else { return nil }
        port = number
      }
      host = String(host[host.index(after: host.startIndex)..<end])
    } else if !ServerText.isAddress(host), let colon = host.lastIndex(of: ":") {
      guard let number = Int(host[host.index(after: colon)...]) else { return nil }
      port = number
      host = String(host[..<colon])
    }
    guard ServerText.isHost(host), (1...65_535).contains(port) else { return nil }
    return (host, port)
  }
}
