/// The request target of HTTP, understood.
enum RequestTarget: Equatable {
  case check(Check)
  case status
  case statusCount
  case metrics
  case recent(query: String)
  case health
  /// `/` itself: the page for browsers.
  case root(query: String)
  /// Nothing lives there.
  case unknown
  /// Something would live there, but for a value that cannot be; the sentence says which.
  case refused(String)

  /// `/PROTOCOL/SERVICE/PORT/QUERY`.
  struct Check: Equatable {
    var `protocol`: CheckProtocol
    var service: String
    var port: Int
    /// What follows `PORT/`, undecoded.
    let query: String
    /// ``query`` without the query string.
    let path: String

    init(protocol: CheckProtocol, service: String, port: Int, query: String) {
      self.protocol = `protocol`
      self.service = service
      self.port = port
      self.query = query
      path = String(query[...].cut(at: "?").before)
    }
  }

  /// The longest service name. Longer ones fit no file name in the spool.
  static let longestService = 255

  /// Reads `target` as it came in the request line: origin form, or absolute form (RFC 9112 § 3.2.2).
  init(_ target: String) {
    let path = RequestTarget.originForm(target[...])
    let (bare, query) = path.cut(at: "?")
    switch bare {
    case "/status": self = .status
    case "/status/count": self = .statusCount
    case "/metrics": self = .metrics
    case "/healthz": self = .health
    case "/": self = .root(query: String(query ?? ""))
    case "/recent": self = .recent(query: String(query ?? ""))
    default: self = RequestTarget.check(path)
    }
  }

  private static func originForm(_ target: Substring) -> Substring {
    guard target.hasPrefix("http://") else { return target }
    let authority = target.dropFirst("http://".count)
    guard let slash = authority.firstIndex(of: "/") else { return "/" }
    return authority[slash...]
  }

  private static func check(_ path: Substring) -> RequestTarget {
    guard path.first == "/" else { return .unknown }
    let (word, afterWord) = path.dropFirst().cut(at: "/")
    guard let kind = CheckProtocol(rawValue: String(word)), let afterWord else { return .unknown }
    let (service, afterService) = afterWord.cut(at: "/")
    guard let afterService, !service.isEmpty, service.utf8.allSatisfy(isServiceByte) else { return .unknown }
    let digits = afterService.prefix { $0.isASCII && $0.isNumber }
    let rest = afterService[digits.endIndex...]
    // Only the checks without a path may end with the port.
    let mayEnd = kind != .http && kind != .https
    guard !digits.isEmpty, rest.first == "/" || (mayEnd && (rest.isEmpty || rest.first == "?")) else { return .unknown }
    guard service != ".", service != ".." else { return .refused("`\(service)` is no service name") }
    guard service.utf8.count <= longestService else {
      return .refused("the service name has \(service.utf8.count) bytes; \(longestService) are allowed")
    }
    guard let port = Int(digits), port <= 65535 else { return .refused("\(digits) is no port: 0...65535 are") }
    let query = rest.first == "/" ? rest.dropFirst() : rest
    guard query.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f }) else {
      return .refused("the path holds a blank or a control character; encode it with %")
    }
    return .check(Check(protocol: kind, service: String(service), port: port, query: String(query)))
  }

  /// Whether a byte may stand in a service's name.
  static func isServiceByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
      true
    default: false
    }
  }
}

extension Substring {
  /// What stands before the first `separator`, and what stands after it; nil when there is none.
  package func cut(at separator: Character) -> (before: Substring, after: Substring?) {
    guard let index = firstIndex(of: separator) else { return (self, nil) }
    return (self[..<index], self[self.index(after: index)...])
  }
}
