import TestSupport
import Testing

@testable import Reactor

@Suite struct HTTPResponseReaderTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let wire: String
    /// `status reason|headers|body` with `!` for cut, `closed` for too early an end, or the problem.
    let result: String
    var isHead = false
    var testDescription: String { name }
  }

  static let limits = HTTPClientLimits(maxHeadBytes: 120, maxBodyBytes: 10)

  static let cases = [
    Case(
      name: "known length", wire: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabXX",
      result: "200 OK|Content-Length=2|ab"),
    Case(name: "bare line feeds", wire: "HTTP/1.1 200 OK\nA: b\n\nabc", result: "200 OK|A=b|abc"),
    Case(name: "HTTP/1.0 to the end", wire: "HTTP/1.0 404 Not Found\r\n\r\nabc", result: "404 Not Found||abc"),
    Case(
      name: "no reason, no blank", wire: "HTTP/1.1 503\r\nContent-Length: 0\r\n\r\n", result: "503 |Content-Length=0|"),
    Case(
      name: "no reason, a blank", wire: "HTTP/1.1 503 \r\nContent-Length: 0\r\n\r\n", result: "503 |Content-Length=0|"),
    Case(name: "an unknown code", wire: "HTTP/1.1 799 Hm\r\n\r\n", result: "799 Hm||"),
    Case(
      name: "interim answers are skipped",
      wire: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\n\r\nz",
      result: "200 OK||z"),
    Case(name: "101 is final", wire: "HTTP/1.1 101 Switching\r\n\r\nabc", result: "101 Switching||"),
    Case(
      name: "204 has no body", wire: "HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\n", result: "204 No|Content-Length=3|"),
    Case(name: "304 has no body", wire: "HTTP/1.1 304 No\r\n\r\n", result: "304 No||"),
    Case(
      name: "HEAD has no body", wire: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
      result: "200 OK|Content-Length=3|",
      isHead: true),
    Case(
      name: "chunks, extensions, trailers",
      wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n03 \r\ncde\r\n0\r\nT: u\r\n\r\n",
      result: "200 OK|Transfer-Encoding=chunked|abcde"),
    Case(
      name: "the end without trailers' end",
      wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n1\r\na\r\n0\r\n",
      result: "200 OK|Transfer-Encoding=gzip, Chunked|a"),
    Case(
      name: "another coding reads to the end",
      wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\nab",
      result: "200 OK|Transfer-Encoding=gzip;Content-Length=1|ab"),
    Case(name: "a folded header", wire: "HTTP/1.1 200 OK\r\nA: b\r\n  c\r\n\r\n", result: "200 OK|A=b c|"),
    Case(name: "blanks around values", wire: "HTTP/1.1 200 OK\r\nA : \t b \r\nB:\r\n\r\n", result: "200 OK|A=b;B=|"),
    Case(name: "lower case", wire: "http/1.1 200 ok\r\nA: b\r\n\r\n", result: "200 ok|A=b|"),
    Case(
      name: "identity is no coding",
      wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 1\r\n\r\nab",
      result: "200 OK|Transfer-Encoding=identity;Content-Length=1|a"),
    Case(
      name: "a length with its sign", wire: "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nabc",
      result: "200 OK|Content-Length=+2|ab"),
    Case(
      name: "equal lengths", wire: "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\nContent-Length: 1\r\n\r\nab",
      result: "200 OK|Content-Length=1, 1;Content-Length=1|a"),
    Case(
      name: "a long body is cut", wire: "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n0123456789A",
      result: "200 OK|Content-Length=11|0123456789!"),
    Case(
      name: "a long chunk is cut", wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n0123456789ABCDEF",
      result: "200 OK|Transfer-Encoding=chunked|0123456789!"),
    Case(name: "a body of the limit is whole", wire: "HTTP/1.1 200 OK\r\n\r\n0123456789", result: "200 OK||0123456789"),
    Case(name: "nothing at all", wire: "", result: "closed"),
    Case(name: "the end in the head", wire: "HTTP/1.1 200 OK\r\nA: b\r\n", result: "closed"),
    Case(name: "the end in the body", wire: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", result: "closed"),
    Case(
      name: "the end in a chunk", wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", result: "closed"
    ),
    Case(name: "only an interim answer", wire: "HTTP/1.1 100 Continue\r\n\r\n", result: "closed"),
    Case(name: "another protocol", wire: "SSH-2.0-x", result: "malformed"),
    Case(name: "HTTP/2", wire: "HTTP/2 200\r\n\r\n", result: "malformed"),
    Case(name: "a code of two digits", wire: "HTTP/1.1 20 OK\r\n\r\n", result: "malformed"),
    Case(name: "a code of four digits", wire: "HTTP/1.1 2000 OK\r\n\r\n", result: "malformed"),
    Case(name: "a code below 100", wire: "HTTP/1.1 099 OK\r\n\r\n", result: "malformed"),
    Case(name: "no colon", wire: "HTTP/1.1 200 OK\r\nA\r\n\r\n", result: "malformed"),
    Case(name: "no header name", wire: "HTTP/1.1 200 OK\r\n: b\r\n\r\n", result: "malformed"),
    Case(name: "folding nothing", wire: "HTTP/1.1 200 OK\r\n b\r\n\r\n", result: "malformed"),
    Case(
      name: "different lengths", wire: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
      result: "malformed"),
    Case(name: "a negative length", wire: "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", result: "malformed"),
    Case(name: "an empty length", wire: "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", result: "malformed"),
    Case(
      name: "a length of 30 digits", wire: "HTTP/1.1 200 OK\r\nContent-Length: 111111111111111111111111111111\r\n\r\n",
      result: "malformed"),
    Case(
      name: "a chunk size in words", wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nten\r\n",
      result: "malformed"),
    Case(name: "no chunk size", wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", result: "malformed"),
    Case(
      name: "a chunk size beyond 64 bits",
      wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\n", result: "malformed"),
    Case(
      name: "a chunk longer than it says", wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
      result: "malformed"),
    Case(
      name: "an endless chunk line",
      wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + String(repeating: "x", count: 1100),
      result: "malformed"),
    Case(
      name: "an endless status line", wire: "HTTP/1.1 200 " + String(repeating: "x", count: 200), result: "headTooLong"),
    Case(
      name: "endless headers", wire: "HTTP/1.1 200 OK\r\n" + String(repeating: "a: b\r\n", count: 40),
      result: "headTooLong"),
    Case(
      name: "endless interim answers", wire: String(repeating: "HTTP/1.1 100 C\r\n\r\n", count: 10),
      result: "headTooLong"),
    Case(
      name: "endless trailers",
      wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + String(repeating: "a: b\r\n", count: 40),
      result: "headTooLong"),
  ]

  @Test("answers", arguments: cases) func responsesAreReadWholeAndInPieces(_ c: Case) {
    let bytes = Array(c.wire.utf8)
    #expect(Self.read([bytes], isHead: c.isHead) == c.result)
    #expect(Self.read(bytes.map { [$0] }, isHead: c.isHead) == c.result)
  }

  /// Random and mutated answers in pieces of random sizes: the same result as in one piece, limits kept, no trap.
  @Test func hostileBytesDoNoHarm() {
    var random = SeededGenerator(seed: 0x5eed)
    let seeds = Self.cases.map { Array($0.wire.utf8) }
    for _ in 0..<20_000 {
      let bytes = Self.mutate(seeds[Int.random(in: 0..<seeds.count, using: &random)], using: &random)
      let isHead = Int.random(in: 0..<8, using: &random) == 0
      let whole = Self.read([bytes], isHead: isHead)
      let pieces = Self.split(bytes, using: &random)
      let inPieces = Self.read(pieces, isHead: isHead)
      if whole != inPieces {
        Issue.record("\(bytes): \(whole) in one piece, \(inPieces) in \(pieces.map(\.count))")
        return
      }
    }
  }

  static func read(_ pieces: [[UInt8]], isHead: Bool) -> String {
    var reader = HTTPResponseReader(of: .unix(path: "/server"), limits: limits, isHead: isHead)
    do {
      for piece in pieces { try reader.consume(piece) }
    } catch {
      return error is StreamError ? "headTooLong" : "malformed"
    }
    guard reader.isComplete || reader.finish() else { return "closed" }
    let response = reader.response
    #expect(response.body.count <= limits.maxBodyBytes)
    #expect(response.headers.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count } <= 3 * limits.maxHeadBytes)
    let headers = response.headers.map { "\($0.name)=\($0.value)" }.joined(separator: ";")
    let body = String(decoding: response.body, as: UTF8.self)
    return "\(response.status) \(response.reason)|\(headers)|\(body)\(response.isTruncated ? "!" : "")"
  }

  private static func mutate(_ seed: [UInt8], using random: inout SeededGenerator) -> [UInt8] {
    var bytes = seed
    if Int.random(in: 0..<10, using: &random) == 0 {
      return (0..<Int.random(in: 0..<300, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
    }
    for _ in 0..<Int.random(in: 0..<6, using: &random) where !bytes.isEmpty {
      let index = Int.random(in: 0..<bytes.count, using: &random)
      switch Int.random(in: 0..<5, using: &random) {
      case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
      case 1: bytes.remove(at: index)
      case 2: bytes.insert(Array("\r\n:;, 0123456789abcdefHT/".utf8).randomElement(using: &random) ?? 0, at: index)
      case 3: bytes.insert(contentsOf: bytes[index...].prefix(20), at: index)
      default: bytes.removeSubrange(index..<min(bytes.count, index + 8))
      }
    }
    return bytes
  }

  private static func split(_ bytes: [UInt8], using random: inout SeededGenerator) -> [[UInt8]] {
    var pieces: [[UInt8]] = []
    var rest = bytes[...]
    while !rest.isEmpty {
      let piece = rest.prefix(Int.random(in: 1...40, using: &random))
      pieces.append(Array(piece))
      rest = rest.dropFirst(piece.count)
    }
    return pieces
  }
}
