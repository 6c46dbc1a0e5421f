import Glibc
import TestSupport
import Testing

@testable import YAMLConfig

/// Neither trap nor hang, whatever the bytes; what can be read can be written as JSON and read again.
@Suite struct FuzzTests {
  static let seed = getenv("SMARTSTACK_FUZZ_SEED").flatMap { UInt64(String(cString: $0)) } ?? 1
  static let rounds = getenv("SMARTSTACK_FUZZ_ROUNDS").flatMap { Int(String(cString: $0)) } ?? 2_000
  static let limits = YAMLLimits(bytes: 1 << 16, depth: 20, nodes: 2_000)

  static let pieces = [
    "a: ", "- ", "? ", ": ", ", ", "\n", "\n  ", "\n    ", "[", "]", "{", "}", "\"", "'", "|", ">", "&a ", "*a",
    "<<: *a", "<<: ",
    "!!int ", "!x ", "# ", "---\n", "...\n", "%YAML 1.1\n", "\t", "1", "017", "1.5", "yes", "null", "\\u",
    "\\ud83d\\ude00", "ü", "😀",
    "\u{2028}", "\u{FEFF}", "<%= ENV['A'] %>", "<%", "%>", "x", "key", "\r", "\u{7F}", "@", "`",
  ]

  static let samples = [
    #"{"services": {"web": {"port": 3000, "checks": [{"type": "http", "uri": "/x"}], "labels": {"a": null}}}}"#,
    "base: &b\n  port: 1\n  hosts: [a, 'b', \"c\\n\"]\nweb:\n  <<: *b\n  text: |\n    x\n    y\n",
  ]

  @Test func fuzzDocuments() {
    var generator = SeededGenerator(seed: FuzzTests.seed)
    for round in 0..<FuzzTests.rounds {
      let bytes = FuzzTests.document(&generator)
      guard let root = try? YAMLDocument(bytes, file: "f", limits: FuzzTests.limits).root else { continue }
      let text = root.json()
      let again = try? YAMLDocument(Array(text.utf8), file: "f").root.json()
      #expect(again == text, "seed \(FuzzTests.seed), round \(round): \(bytes)")
      FuzzTests.readEverything(root)
    }
  }

  @Test func fuzzTemplates() {
    var generator = SeededGenerator(seed: FuzzTests.seed)
    for _ in 0..<FuzzTests.rounds {
      _ = try? FuzzTests.document(&generator).expandingTemplate(file: "f", environment: ["A": "b"])
    }
  }

  static func document(_ generator: inout SeededGenerator) -> [UInt8] {
    switch Int.random(in: 0..<4, using: &generator) {
    case 0: return (0..<Int.random(in: 0...64, using: &generator)).map { _ in .random(in: 0...255, using: &generator) }
    case 1:
      var bytes = Array(samples[Int.random(in: 0..<samples.count, using: &generator)].utf8)
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        let place = Int.random(in: 0..<bytes.count, using: &generator)
        switch Int.random(in: 0..<3, using: &generator) {
        case 0: bytes[place] = .random(in: 0...255, using: &generator)
        case 1: bytes.remove(at: place)
        default: bytes.insert(contentsOf: Array((pieces.randomElement(using: &generator) ?? "").utf8), at: place)
        }
      }
      return bytes
    default:
      let count = Int.random(in: 1...40, using: &generator)
      return (0..<count).flatMap { _ in Array((pieces.randomElement(using: &generator) ?? "").utf8) }
    }
  }

  /// Every typed reader on every node: each answers or throws.
  static func readEverything(_ node: YAMLNode) {
    _ = try? node.int()
    _ = try? node.double()
    _ = try? node.duration()
    _ = try? node.bool()
    _ = try? node.string()
    _ = try? node.strings()
    _ = try? node.stringMap()
    _ = try? node.section().unknownKeys()
    _ = (node.summary, node.path, node.error("x").description)
    for item in (try? node.items()) ?? [] { readEverything(item) }
    for entry in (try? node.entries()) ?? [] { readEverything(entry.value) }
  }
}
