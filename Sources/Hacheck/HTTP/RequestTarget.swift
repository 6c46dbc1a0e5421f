/// The request target of HTTP, understood.
enum RequestTarget: Equatable {
  case check(CheckPath)
  case status
  case statusCount
  case metrics
  case recent(query: String)
  case health
  /// `/` itself: the page for browsers.
  case root
  /// A path without a resource.
  case unknown
  /// Something would live there, but for a value that cannot be; the sentence says which.
  case refused(String)

  /// Reads `target` as it came in the request line: origin form, or absolute form (RFC 9112 § 3.2.2).
  init(_ target: String) {
    let path = RequestTarget.originForm(target[...])
    let (bare, query) = path.cut(at: "?")
    switch bare {
    case "/status": self = .status
    case "/status/count": self = .statusCount
    case "/metrics": self = .metrics
    case "/healthz": self = .health
    case "/": self = .root
    case "/recent": self = .recent(query: String(query ?? ""))
    default:
      do {
        self = try CheckPath(reading: path).map(RequestTarget.check) ?? .unknown
      } catch {
        self = .refused(error.sentence)
      }
    }
  }

  private static func originForm(_ target: Substring) -> Substring {
    guard target.hasPrefix("http://") else { return target }
    let authority = target.dropFirst("http://".count)
    guard let slash = authority.firstIndex(of: "/") else { return "/" }
    return authority[slash...]
  }
}
