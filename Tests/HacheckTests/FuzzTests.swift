import Glibc
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import Hacheck

/// Seeded noise into everything that strangers write. Nothing traps, and what is understood is within bounds.
///
/// `SMARTSTACK_FUZZ_SEED` moves the seeds, `SMARTSTACK_FUZZ_ROUNDS` says how many inputs each parser gets in all.
@Suite struct FuzzTests {
  static let seeds: [UInt64] = {
    let base = getenv("SMARTSTACK_FUZZ_SEED").flatMap { UInt64(String(cString: $0)) } ?? 1
    return (0..<4).map { base &+ $0 }
  }()
  static let rounds = max(1, (getenv("SMARTSTACK_FUZZ_ROUNDS").flatMap { Int(String(cString: $0)) } ?? 8_000) / 4)

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

  @Test(arguments: seeds) func targets(_ seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let pieces = [
      "/", "http", "/http/", "spool", "/spool/", "web.main", "8080", "65536", "99999999999999999999", "?", "..", ".",
      "%00",
      "http://", "/status", "/recent", "threshold=", " ", "é", "\u{301}",
    ]
    for _ in 0..<FuzzTests.rounds {
      let text = String(decoding: FuzzTests.noise(pieces, &random), as: UTF8.self)
      guard case .check(let check) = RequestTarget(text) else { continue }
      #expect((0...65535).contains(check.port))
      #expect(check.service.wholeMatch(of: /[.a-zA-Z0-9_-]+/) != nil)
      #expect(check.service != "." && check.service != "..")
      #expect(!check.query.utf8.contains { $0 <= 0x20 || $0 == 0x7f })
    }
  }

  @Test(arguments: seeds) func stateHeaders(_ seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let pieces = ["UP 2/3", ";", "; ", "=", "address=", "port=", "127.0.0.1", "::1", "8080", "-5", "name=a/b", "é"]
    for _ in 0..<FuzzTests.rounds {
      let text = String(decoding: FuzzTests.noise(pieces, &random), as: UTF8.self)
      if let port = (try? ServerState(haproxy: text))?.port { #expect((0...65535).contains(port)) }
      if let address = (try? ServerState(nerve: text))?.address {
        #expect(IPAddress(address.description) == address)
      }
      if let range = AddressRange(text) { #expect(AddressRange(range.description) == range) }
    }
  }

  @Test(arguments: seeds) func spoolFiles(_ seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let pieces = [
      "{", "}", "\"reason\"", ":", ": ", ",", "\"x\"", "null", "1e400", "-0", "NaN", "\"expiration\"", "\"creation\"",
      "[",
      "]", "\\u", "\\ud800", "\"", "4102444800.5", "true",
    ]
    for _ in 0..<FuzzTests.rounds {
      let bytes = FuzzTests.noise(pieces, &random)
      let mark = Downtime(of: SpoolScope(fileName: "web"), contents: bytes)
      #expect(mark.downText.hasPrefix("Service web in down state"))
      #expect(Downtime(of: mark.scope, contents: mark.fileContents) == mark)
    }
  }

  @Test(arguments: seeds) func fileNamesAndForms(_ seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let pieces = [
      ":", "web", "8080", "all", "::1", "status=", "down", "&", "reason=", "%", "%41", "+", "--B", "\r\n", "\r\n\r\n",
      "Content-Disposition: form-data; name=\"status\"", "=",
    ]
    for _ in 0..<FuzzTests.rounds {
      let bytes = FuzzTests.noise(pieces, &random)
      let text = String(decoding: bytes, as: UTF8.self)
      let known = SpoolScope(fileName: text).description
      #expect(SpoolScope(fileName: known).description == known)
      for type in ["application/x-www-form-urlencoded", "multipart/form-data; boundary=B", text] {
        _ = try? SpoolRequest(FormBody(query: text, contentType: type, body: bytes))
      }
    }
  }

  @Test(arguments: seeds) func pageForms(_ seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let pieces = [
      "mark=", "web.main", "all", "web:80", "web:10.0.0.1:80", ":", "..", "%2f", "%00", "&", "&status=down",
      "&status=up",
      "&reason=x", "&reason=", "&duration=", "600", "-1", "1e308", "nan", "%ff", "+",
    ]
    for _ in 0..<FuzzTests.rounds {
      let body = FuzzTests.noise(pieces, &random)
      let form = FormBody(query: "", contentType: "application/x-www-form-urlencoded", body: body)
      guard let wanted = try? form.downtimeChange(now: 1000) else { continue }
      #expect(SpoolDirectory.isName(wanted.scope.description), "seed \(seed): \(body)")
      guard case .down(let reason, let expiration, _, _) = wanted.request else { continue }
      #expect(!reason.isEmpty)
      #expect(expiration.map { $0 > 1000 && $0 <= 1000 + FormBody.longestDowntime } ?? true)
      #expect(
        wanted.scope.description.wholeMatch(of: /[.a-zA-Z0-9_-]+(:[0-9a-fA-F.:]+)?/) != nil, "seed \(seed): \(wanted)")
    }
  }

  @Test(arguments: seeds) @LoopActor func originsAndPages(_ seed: UInt64) {
    let entities = ["amp;", "lt;", "gt;", "quot;", "#39;"]
    var random = SeededGenerator(seed: seed)
    let pieces = [
      "http", "https", "://", ":", "/", "10.0.0.5", ":6666", "evil.example", "null", "@", "[::1]", "localhost", "#",
      "?",
      "<b>", "\"", "'", "&amp;", "\u{202e}",
    ]
    for _ in 0..<FuzzTests.rounds {
      let text = String(decoding: FuzzTests.noise(pieces, &random), as: UTF8.self)
      let headers = [("Sec-Fetch-Site", "same-origin"), ("Origin", text), ("Host", "10.0.0.5:6666")].map {
        HTTPHeader(name: $0, value: $1)
      }
      if SpoolAccessPolicy.refusal(of: .list(headers)) == nil {
        #expect(text.lowercased().firstMatch(of: /^https?:\/\/10\.0\.0\.5:6666([\/?#]|$)/) != nil, "\(text)")
      }
      let escaped = text.htmlEscaped
      #expect(!escaped.utf8.contains { "<>\"'".utf8.contains($0) || $0 < 0x20 && $0 != 0x09 && $0 != 0x0a })
      let pieces = escaped.utf8.split(separator: UInt8(ascii: "&"), omittingEmptySubsequences: false)
      #expect(pieces.dropFirst().allSatisfy { piece in entities.contains { piece.starts(with: $0.utf8) } }, "\(text)")
    }
  }
}
