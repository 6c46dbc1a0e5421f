internal import SmartStack

/// The path of a health question: `/PROTOCOL/SERVICE/PORT/QUERY`.
struct CheckPath: Equatable, Sendable {
  let `protocol`: CheckProtocol
  let service: String
  /// 0...65535; 0 when the port comes from the `X-Haproxy-Server-State` header.
  let port: Int
  /// What follows `PORT/`, undecoded.
  let query: String
  /// ``query`` without the query string.
  let path: String

  init(protocol: CheckProtocol, service: String, port: Int, query: String = "") {
    self.protocol = `protocol`
    self.service = service
    self.port = port
    self.query = query
    path = String(query[...].cut(at: "?").before)
  }

  /// The longest service name; longer ones fit no file name in the spool.
  static let longestService = 255

  /// Reads a path; nil when nothing lives there.
  /// - Throws: ``Refusal`` when something would live there, but for a value that cannot be.
  init?(reading path: Substring) throws(Refusal) {
    guard path.first == "/" else { return nil }
    let (word, afterWord) = path.dropFirst().cut(at: "/")
    guard let kind = CheckProtocol(rawValue: String(word)), let afterWord else { return nil }
    let (service, afterService) = afterWord.cut(at: "/")
    guard let afterService, !service.isEmpty, service.utf8.allSatisfy(CheckPath.isServiceByte) else { return nil }
    let digits = afterService.prefix { $0.isASCII && $0.isNumber }
    let rest = afterService[digits.endIndex...]
    // Only the checks without a path may end with the port.
    let mayEnd = kind != .http && kind != .https
    guard !digits.isEmpty, rest.first == "/" || (mayEnd && (rest.isEmpty || rest.first == "?")) else { return nil }
    guard service != ".", service != ".." else { throw Refusal("`\(service)` is not a service name") }
    guard service.utf8.count <= CheckPath.longestService else {
      throw Refusal("the service name has \(service.utf8.count) bytes; \(CheckPath.longestService) are allowed")
    }
    guard let port = Int(digits), port <= 65535 else { throw Refusal("\(digits) is not a port: 0...65535 are") }
    // As upstream: one slash between the port and the path, and no mark before an empty query.
    var query = rest.first == "/" ? rest.dropFirst() : rest
    if query.first == "/" { query = query.dropFirst() }
    if query.last == "?", query.firstIndex(of: "?") == query.index(before: query.endIndex) { query.removeLast() }
    guard query.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f }) else {
      throw Refusal("the path holds a blank or a control character; encode it with %")
    }
    self.init(protocol: kind, service: String(service), port: port, query: String(query))
  }

  /// Whether a byte may stand in a service's name.
  static func isServiceByte(_ byte: UInt8) -> Bool { byte.isLetterOrDigit || "._-".utf8.contains(byte) }
}
