import Testing

@testable import Hacheck

/// Seeded noise into everything that strangers write. Nothing traps, and what is understood is within bounds.
@Suite struct FuzzTests {
  /// Pieces that mean something, and bytes that do not.
  private static func noise(_ pieces: [String], _ random: inout SeededGenerator) -> [UInt8] {
    var bytes: [UInt8] = []
    for _ in 0..<Int.random(in: 0..<12, using: &random) {
      if Bool.random(using: &random), let piece = pieces.randomElement(using: &random) {
        bytes += Array(piece.utf8)
      } else {
        bytes += (0..<Int.random(in: 0..<4, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
      }
    }
    return bytes
  }

  @Test(arguments: [1, 2, 3, 4]) func targets(_ seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let pieces = [
      "/", "http", "/http/", "spool", "/spool/", "web.main", "8080", "65536", "99999999999999999999", "?", "..", ".",
      "%00",
      "http://", "/status", "/recent", "threshold=", " ", "é", "\u{301}",
    ]
    for _ in 0..<5_000 {
      let text = String(decoding: FuzzTests.noise(pieces, &random), as: UTF8.self)
      guard case .check(let check) = RequestTarget(text) else { continue }
      #expect((0...65535).contains(check.port))
      #expect(check.service.wholeMatch(of: /[.a-zA-Z0-9_-]+/) != nil)
      #expect(check.service != "." && check.service != "..")
      #expect(!check.query.utf8.contains { $0 <= 0x20 || $0 == 0x7f })
    }
  }

  @Test(arguments: [1, 2, 3, 4]) func stateHeaders(_ seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let pieces = ["UP 2/3", ";", "; ", "=", "address=", "port=", "127.0.0.1", "::1", "8080", "-5", "name=a/b", "é"]
    for _ in 0..<5_000 {
      let text = String(decoding: FuzzTests.noise(pieces, &random), as: UTF8.self)
      if let port = (try? ServerState(haproxy: text))?.port { #expect((0...65535).contains(port)) }
      if let address = (try? ServerState(nerve: text))?.address {
        #expect(IPAddress(address.description) == address)
      }
      if let range = AddressRange(text) { #expect(AddressRange(range.description) == range) }
    }
  }

  @Test(arguments: [1, 2, 3, 4]) func spoolFiles(_ seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let pieces = [
      "{", "}", "\"reason\"", ":", ": ", ",", "\"x\"", "null", "1e400", "-0", "NaN", "\"expiration\"", "\"creation\"",
      "[",
      "]", "\\u", "\\ud800", "\"", "4102444800.5", "true",
    ]
    for _ in 0..<5_000 {
      let bytes = FuzzTests.noise(pieces, &random)
      let mark = SpoolFile(contents: bytes).mark(SpoolScope(fileName: "web"))
      #expect(mark.downText.hasPrefix("Service web in down state"))
      let again = SpoolFile(reason: mark.reason, expiration: mark.expiration, creation: mark.creation)
      #expect(SpoolFile(contents: again.contents) == again)
    }
  }

  @Test(arguments: [1, 2, 3, 4]) func fileNamesAndForms(_ seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let pieces = [
      ":", "web", "8080", "all", "::1", "status=", "down", "&", "reason=", "%", "%41", "+", "--B", "\r\n", "\r\n\r\n",
      "Content-Disposition: form-data; name=\"status\"", "=",
    ]
    for _ in 0..<5_000 {
      let bytes = FuzzTests.noise(pieces, &random)
      let text = String(decoding: bytes, as: UTF8.self)
      let known = SpoolScope(fileName: text).description
      #expect(SpoolScope(fileName: known).description == known)
      for type in ["application/x-www-form-urlencoded", "multipart/form-data; boundary=B", text] {
        _ = try? SpoolOrder(FormBody(query: text, contentType: type, body: bytes))
      }
    }
  }
}
