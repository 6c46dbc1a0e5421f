internal import SmartStack

/// Turns the bytes of one HTTP/1.0 or 1.1 answer, in pieces of any size, into an ``HTTPResponse``.
///
/// Pure and bounded: it keeps at most the limits' bytes, whatever arrives. Lenient where servers in the
/// field are sloppy (bare `\n`, no reason, folded headers), strict where guessing would be wrong (lengths).
struct HTTPResponseReader {
  private enum Phase: Equatable {
    case statusLine, headers
    case sizedBody(remaining: Int)
    case bodyToEnd
    case chunkSize
    case chunk(remaining: Int)
    case chunkEnd
    case trailers
    case complete
  }

  /// A chunk's size with its extensions; the longest size is 16 digits.
  private static let maximumChunkLine = 1024

  private let limits: HTTPClientLimits
  private let isHead: Bool
  private let endpoint: Endpoint
  private var phase = Phase.statusLine
  private var line: [UInt8] = []
  private var headBytes = 0
  /// Whether the answer ends before the connection does, as far as is known.
  private var isDelimited = false

  /// What has been understood so far.
  private(set) var response = HTTPResponse(status: 0)

  /// - Parameters:
  ///   - endpoint: what sends the answer, for errors.
  ///   - isHead: whether the answer belongs to a HEAD request and has no body.
  init(of endpoint: Endpoint, limits: HTTPClientLimits, isHead: Bool) {
    self.endpoint = endpoint
    self.limits = limits
    self.isHead = isHead
  }

  /// Whether the answer is all there; further bytes are ignored.
  var isComplete: Bool { phase == .complete }

  /// Whether a byte of the answer has come.
  var hasBegun: Bool { headBytes > 0 }

  /// Whether another request can follow on the connection: the answer ended by its own account, nothing came behind it,
  /// and the server does not say that it closes. HTTP/1.0 does always.
  var leavesConnection: Bool {
    isComplete && isDelimited
      && !response.headers.contains {
        $0.has(name: "Connection")
          && $0.value.utf8.split(separator: UInt8(ascii: ",")).contains {
            HTTPResponseReader.trimmedBlanks(Array($0)[...]).equalsIgnoringASCIICase("close")
          }
      }
  }

  /// Whether all headers of the answer proper are there.
  var hasHead: Bool { phase != .statusLine && phase != .headers }

  /// Takes the next bytes.
  /// - Throws: ``HTTPClientError``, or ``StreamError/tooLong(_:limit:)`` for the head.
  mutating func consume(_ bytes: [UInt8]) throws {
    var rest = bytes[...]
    while !rest.isEmpty, phase != .complete {
      switch phase {
      case .sizedBody(let remaining): take(&rest, upTo: remaining) { .sizedBody(remaining: $0) }
      case .chunk(let remaining): take(&rest, upTo: remaining) { $0 == 0 ? .chunkEnd : .chunk(remaining: $0) }
      case .bodyToEnd: take(&rest, upTo: rest.count) { _ in .bodyToEnd }
      default: try takeLine(&rest)
      }
      if phase == .sizedBody(remaining: 0) { phase = .complete }
    }
    if !rest.isEmpty { isDelimited = false }
  }

  /// Says that the peer closed; false when that came too early.
  mutating func finish() -> Bool {
    isDelimited = false
    switch phase {
    // After the last chunk only trailers are missing, and we have no use for them.
    case .bodyToEnd, .trailers: phase = .complete
    case .sizedBody where limits.acceptsShortBody: phase = .complete
    case .sizedBody, .statusLine, .headers, .chunkSize, .chunk, .chunkEnd, .complete: break
    }
    return phase == .complete
  }

  // MARK: Body

  /// Hands out the body as far as it has arrived, and forgets it: for answers without end. The limit then is for what
  /// arrives between two calls.
  mutating func takeBody() -> [UInt8] {
    defer { response.body = [] }
    return response.body
  }

  /// Moves up to `count` bytes into the body; stops for good where the body's limit cuts it.
  private mutating func take(_ rest: inout ArraySlice<UInt8>, upTo count: Int, then next: (Int) -> Phase) {
    let piece = rest.prefix(count)
    let room = limits.maxBodyBytes - response.body.count
    response.body += piece.prefix(max(0, room))
    rest = rest.dropFirst(piece.count)
    if piece.count > room {
      (response.isTruncated, isDelimited) = (true, false)
      phase = .complete
    } else {
      phase = next(count - piece.count)
    }
  }

  // MARK: Lines

  private mutating func takeLine(_ rest: inout ArraySlice<UInt8>) throws {
    let end = rest.firstIndex(of: UInt8(ascii: "\n"))
    let piece = rest[..<(end ?? rest.endIndex)]
    if phase == .statusLine, line.count < 8 { try checkPrefix(line + piece.prefix(limits.maxHeadBytes - headBytes)) }
    try count(piece.count + (end == nil ? 0 : 1))
    line += piece
    rest = rest[(end.map { $0 + 1 } ?? rest.endIndex)...]
    guard end != nil else { return }
    if line.last == UInt8(ascii: "\r") { line.removeLast() }
    defer { line.removeAll(keepingCapacity: true) }
    try understandLine()
  }

  /// Head, interim answers and trailers share one budget; a chunk line has its own.
  private mutating func count(_ bytes: Int) throws {
    switch phase {
    case .chunkSize, .chunkEnd:
      if line.count + bytes > HTTPResponseReader.maximumChunkLine {
        throw HTTPClientError.malformed(reason: "a chunk's size line is too long")
      }
    default:
      headBytes += bytes
      if headBytes > limits.maxHeadBytes { throw StreamError.tooLong(endpoint, limit: limits.maxHeadBytes) }
    }
  }

  /// Another protocol's greeting should fail at once, not at the deadline.
  private func checkPrefix(_ line: [UInt8]) throws {
    guard zip(line, "http/1.".utf8).allSatisfy({ $0.lowercasedASCII == $1 }) else {
      throw HTTPClientError.malformed(reason: "it does not begin with HTTP/1: \(HTTPResponseReader.excerpt(line))")
    }
  }

  private mutating func understandLine() throws {
    switch phase {
    case .statusLine: try understandStatusLine()
    case .headers: if line.isEmpty { try finishHead() } else { try understandHeader() }
    case .chunkSize: try understandChunkSize()
    case .chunkEnd:
      guard line.isEmpty else { throw HTTPClientError.malformed(reason: "a chunk is longer than its size says") }
      phase = .chunkSize
    case .trailers: if line.isEmpty { phase = .complete }
    case .sizedBody, .bodyToEnd, .chunk, .complete: break
    }
  }

  /// RFC 9112 §4, where many servers omit the blank before an empty reason.
  private mutating func understandStatusLine() throws {
    let text = line
    guard text.count >= 12, text[7].isDigit, text[8] == UInt8(ascii: " "),
      text.count == 12 || text[12] == UInt8(ascii: " ")
    else { throw HTTPClientError.malformed(reason: "status line \(HTTPResponseReader.excerpt(text))") }
    guard let status = HTTPResponseReader.decimal(text[9..<12]), status >= 100 else {
      throw HTTPClientError.malformed(reason: "status \(HTTPResponseReader.excerpt(text))")
    }
    response = HTTPResponse(status: status, reason: String(decoding: text.dropFirst(13), as: UTF8.self))
    isDelimited = text[7] != UInt8(ascii: "0") && status != 101
    phase = .headers
  }

  private mutating func understandHeader() throws {
    if line[0].isBlank {
      // RFC 9112 §5.2: an obsolete folded line continues the value before it.
      guard var last = response.headers.popLast() else {
        throw HTTPClientError.malformed(reason: "a folded line before any header")
      }
      last.value += " " + HTTPResponseReader.trimmedBlanks(line[...])
      response.headers.append(last)
      return
    }
    guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else {
      throw HTTPClientError.malformed(reason: "header without a colon: \(HTTPResponseReader.excerpt(line))")
    }
    let name = HTTPResponseReader.trimmedBlanks(line[..<colon])
    guard !name.isEmpty else {
      throw HTTPClientError.malformed(reason: "header without a name: \(HTTPResponseReader.excerpt(line))")
    }
    response.headers.append(HTTPHeader(name: name, value: HTTPResponseReader.trimmedBlanks(line[(colon + 1)...])))
  }

  /// RFC 9112 §6.3: how long the body is.
  private mutating func finishHead() throws {
    let status = response.status
    if (100..<200).contains(status), status != 101 {
      phase = .statusLine
    } else if isHead || status == 101 || status == 204 || status == 304 {
      phase = .complete
    } else if let coding = response.headers.last(where: { $0.has(name: "Transfer-Encoding") }) {
      let last =
        coding.value.split(separator: ",").last.map { HTTPResponseReader.trimmedBlanks(Array($0.utf8)[...]) } ?? ""
      if last.equalsIgnoringASCIICase("chunked") {
        phase = .chunkSize
      } else {
        // `identity` is no coding at all.
        phase = last.equalsIgnoringASCIICase("identity") ? try unchunkedBody() : .bodyToEnd
      }
    } else {
      phase = try unchunkedBody()
    }
  }

  private mutating func unchunkedBody() throws -> Phase {
    guard let length = try contentLength() else { return .bodyToEnd }
    // Growing to a large body would take its size twice over.
    response.body.reserveCapacity(min(length, limits.maxBodyBytes))
    return length == 0 ? .complete : .sizedBody(remaining: length)
  }

  /// Several equal lengths are one; different ones are an attack or a bug.
  private func contentLength() throws -> Int? {
    var length: Int?
    for header in response.headers where header.has(name: "Content-Length") {
      for part in header.value.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
        let digits = Array(HTTPResponseReader.trimmedBlanks(Array(part)[...]).utf8)
        let unsigned = digits.first == UInt8(ascii: "+") ? digits.dropFirst() : digits[...]
        guard let value = HTTPResponseReader.decimal(unsigned), length == nil || length == value else {
          throw HTTPClientError.malformed(
            reason: "Content-Length \(HTTPResponseReader.excerpt(Array(header.value.utf8)))")
        }
        length = value
      }
    }
    return length
  }

  private mutating func understandChunkSize() throws {
    let digits = line.prefix { $0 != UInt8(ascii: ";") && !$0.isBlank }
    var size = 0
    for digit in digits {
      guard let value = digit.hexadecimalValue, size >> 58 == 0 else {
        throw HTTPClientError.malformed(reason: "chunk size \(HTTPResponseReader.excerpt(line))")
      }
      size = size << 4 | value
    }
    guard !digits.isEmpty else { throw HTTPClientError.malformed(reason: "a chunk without a size") }
    phase = size == 0 ? .trailers : .chunk(remaining: size)
  }

  // MARK: Small words

  /// nil unless all digits and not absurdly long.
  private static func decimal(_ digits: ArraySlice<UInt8>) -> Int? {
    guard !digits.isEmpty, digits.count <= 18, digits.allSatisfy(\.isDigit) else { return nil }
    return digits.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
  }

  private static func trimmedBlanks(_ bytes: ArraySlice<UInt8>) -> String {
    let start = bytes.firstIndex { !$0.isBlank } ?? bytes.endIndex
    let end = bytes.lastIndex { !$0.isBlank }.map { $0 + 1 } ?? start
    return String(decoding: bytes[start..<end], as: UTF8.self)
  }

  /// The beginning of what was found, safe to print.
  private static func excerpt(_ bytes: [UInt8]) -> String {
    let text = bytes.prefix(40).map { (0x20..<0x7f).contains($0) ? Character(Unicode.Scalar($0)) : "." }
    return "\"\(String(text))\(bytes.count > 40 ? "…" : "")\""
  }
}

extension UInt8 {
  fileprivate var isBlank: Bool { self == 0x20 || self == 0x09 }

  fileprivate var hexadecimalValue: Int? {
    switch self {
    case 0x30...0x39: Int(self) - 0x30
    case 0x41...0x46: Int(self) - 0x41 + 10
    case 0x61...0x66: Int(self) - 0x61 + 10
    default: nil
    }
  }
}
