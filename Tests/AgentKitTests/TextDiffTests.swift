import AgentKit
import Glibc
import TestSupport
import Testing

@Suite struct TextDiffTests {
  @Test(
    arguments: [
      ("a\nb\n", "a\nb\n", ""), ("a\nb", "a\nb\n", ""),
      ("a\nb\nc\n", "a\nx\nc\n", "--- old\n+++ new\n@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n"),
      ("", "a\n", "--- old\n+++ new\n@@ -0,0 +1 @@\n+a\n"), ("a\n", "", "--- old\n+++ new\n@@ -1 +0,0 @@\n-a\n"),
      (
        "1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\n5\n6\n7\n8\nx\n",
        "--- old\n+++ new\n@@ -6,4 +6,4 @@\n 6\n 7\n 8\n-9\n+x\n"
      ),
    ])
  func unified(_ old: String, _ new: String, _ expected: String) {
    #expect(TextDiff.unified(from: old, to: new, names: ("old", "new")) == expected)
  }

  @Test func colorsAndMissingFiles() {
    let text = TextDiff.unified(from: nil, to: "a\n", names: ("old", "new"), inColor: true)
    #expect(text.contains("--- /dev/null") && text.contains("\u{1B}[32m+a\u{1B}[0m\n"))
  }

  /// patch(1)'s idea of what it means, for random texts: the new one comes out.
  @Test func fuzzTheDifferenceLeadsFromTheOldToTheNew() {
    var generator = SeededGenerator(seed: getenv("SMARTSTACK_FUZZ_SEED").flatMap { UInt64(String(cString: $0)) } ?? 1)
    for _ in 0..<300 {
      let text = {
        (0..<Int.random(in: 0...30, using: &generator)).map { _ in
          String(Int.random(in: 0...4, using: &generator)) + "\n"
        }.joined()
      }
      let (old, new) = (text(), text())
      #expect(apply(TextDiff.unified(from: old, to: new, names: ("old", "new")), to: old) == new)
    }
    let long = (0..<6_000).map { "\($0)\n" }.joined()
    let other = (0..<6_000).map { "x\($0)\n" }.joined()
    #expect(apply(TextDiff.unified(from: long, to: other, names: ("a", "b")), to: long) == other)
  }

  private func apply(_ difference: String, to old: String) -> String {
    let lines = old.split(separator: "\n")
    var out: [Substring] = []
    var next = 0
    for line in difference.split(separator: "\n").dropFirst(2) {
      if line.hasPrefix("@@ -") {
        let numbers = line.dropFirst(4).prefix { $0 != " " }.split(separator: ",").compactMap { Int($0) }
        let start = numbers.count == 2 && numbers[1] == 0 ? numbers[0] : numbers[0] - 1
        out += lines[next..<start]
        next = start
      } else if line.hasPrefix("+") {
        out.append(line.dropFirst())
      } else {
        if line.hasPrefix(" ") { out.append(line.dropFirst()) }
        next += 1
      }
    }
    out += lines[next...]
    return out.map { $0 + "\n" }.joined()
  }
}
