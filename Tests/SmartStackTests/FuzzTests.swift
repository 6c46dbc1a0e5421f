import Glibc
import SmartStack
import TestSupport
import Testing

/// Whatever stands in a node or in its name: no trap, and nothing hostile in what is believed.
@Suite struct FuzzTests {
  static let seed = getenv("SMARTSTACK_FUZZ_SEED").flatMap { UInt64(String(cString: $0)) } ?? 1
  static let rounds = getenv("SMARTSTACK_FUZZ_ROUNDS").flatMap { Int(String(cString: $0)) } ?? 5_000

  static let sample =
    #"{"host":"10.0.0.5","port":3000,"name":"i-1","weight":7,"haproxy_server_options":"backup","labels":{"a":"1","b":null}}"#

  static let pieces = [
    "\n", "\\n", " ", "\"", "\\\"", "'", ";", "#", "\\u000a", "\\u0022", "\\ud83d\\ude00", "%{host}", "%", "\0", "null",
    "{", "}",
    "[", "]", ",", ":", "-1", "1e9", "99999999999999999999", "\"host\"", "\"port\":", "true", "ü", "\u{2028}", "$",
    "\\",
  ]

  @Test func fuzzPayloads() {
    var generator = SeededGenerator(seed: FuzzTests.seed)
    for round in 0..<FuzzTests.rounds {
      let payload = FuzzTests.payload(&generator)
      for decoded in [
        try? RegistrationCodec.decode(payload: payload, name: "n_1"),
        try? RegistrationCodec.decodeServerset(payload: payload, name: "n_1", endpoint: nil),
      ] {
        guard let backend = decoded?.backend else { continue }
        #expect(FuzzTests.isHarmless(backend), "seed \(FuzzTests.seed), round \(round): \(payload)")
        let again = try? RegistrationCodec.decode(payload: RegistrationCodec.payload(backend), name: "n_1").backend
        #expect(again == backend, "seed \(FuzzTests.seed), round \(round): \(payload)")
      }
    }
  }

  @Test func fuzzNames() {
    var generator = SeededGenerator(seed: FuzzTests.seed)
    for round in 0..<FuzzTests.rounds {
      var name = Array((RegistrationCodec.pathEncodedName(payload: FuzzTests.payload(&generator)) + "0000000001").utf8)
      for _ in 0..<Int.random(in: 0...3, using: &generator) {
        let place = Int.random(in: 0..<name.count, using: &generator)
        if Bool.random(using: &generator) {
          name[place] = .random(in: 0...255, using: &generator)
        } else {
          name.remove(at: place)
        }
      }
      let text = String(decoding: name, as: UTF8.self)
      guard let backend = try? RegistrationCodec.decode(name: text)?.backend else { continue }
      #expect(FuzzTests.isHarmless(backend), "seed \(FuzzTests.seed), round \(round): \(text)")
    }
  }

  @Test func fuzzBase64RoundTrips() throws {
    var generator = SeededGenerator(seed: FuzzTests.seed)
    for length in 0..<200 {
      let host = (0..<length).map { _ in "abcXYZ019-".randomElement(using: &generator).map(String.init) ?? "" }.joined()
      let payload = RegistrationCodec.payload(Backend(name: "n", host: "h", port: 1, labels: ["x": .text(host)]))
      let name = RegistrationCodec.pathEncodedName(payload: payload)
      #expect(try RegistrationCodec.decode(name: name + "0000000001")?.backend.labels?["x"] == .text(host))
    }
  }

  private static func payload(_ generator: inout SeededGenerator) -> [UInt8] {
    if Int.random(in: 0..<8, using: &generator) == 0 {
      return (0..<Int.random(in: 0...80, using: &generator)).map { _ in .random(in: 0...255, using: &generator) }
    }
    var bytes = Array(sample.utf8)
    for _ in 0..<Int.random(in: 0...3, using: &generator) {
      let place = Int.random(in: 0..<bytes.count, using: &generator)
      switch Int.random(in: 0..<4, using: &generator) {
      case 0: bytes[place] = .random(in: 0...255, using: &generator)
      case 1: bytes.remove(at: place)
      default: bytes.insert(contentsOf: Array((pieces.randomElement(using: &generator) ?? "").utf8), at: place)
      }
    }
    return bytes
  }

  private static func isHarmless(_ backend: Backend) -> Bool {
    let isWord = { (text: String) in
      text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && !"\"'\\#;$<>`{}%".utf8.contains($0) }
    }
    let options = backend.haproxyServerOptions ?? ""
    return isWord(backend.serverName) && (1...65_535).contains(backend.port) && (backend.weight ?? 0) >= 0
      && options.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F && !"\"'\\#;$<>`".utf8.contains($0) }
  }
}
