import Testing

@testable import YAMLConfig

@Suite struct LimitTests {
  @Test func aliasBombsAreRefusedBeforeTheyGrow() {
    var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in 1...20 {
      text += "a\(level): &a\(level) [\(Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", "))]\n"
    }
    #expect(failure(text)?.hasSuffix("more than 2000000 values once aliases are replaced") == true)
  }

  @Test func mergeBombsAreRefusedBeforeTheyGrow() {
    var text = "m0: &m0 {\((0..<100).map { "k\($0): 1" }.joined(separator: ", "))}\n"
    for level in 1...20 {
      text += "m\(level): &m\(level) {<<: [\(Array(repeating: "*m\(level - 1)", count: 30).joined(separator: ", "))]}\n"
    }
    #expect(failure(text, limits: YAMLLimits(nodes: 50_000))?.hasSuffix("once aliases are replaced") == true)
  }

  @Test(arguments: ["[", "{\"a\":", "{a: ", "- ", "? "]) func nestingBeyondTheLimitIsRefused(_ opening: String) {
    let sentence = failure(String(repeating: opening, count: 5_000) + "1")
    #expect(sentence?.hasSuffix("nested deeper than 100 levels") == true)
  }

  @Test func aliasesDoNotHideDepth() {
    var text = "a0: &a0 [x]\n"
    for level in 1...120 { text += "a\(level): &a\(level) [*a\(level - 1)]\n" }
    #expect(failure(text)?.hasSuffix("nested deeper than 100 levels") == true)
  }

  @Test func aHundredLevelsAreNotTooMany() throws {
    let nested = String(repeating: "[", count: 100) + String(repeating: "]", count: 100)
    #expect(try json(nested) == nested)
    #expect(failure(String(repeating: "[", count: 101) + String(repeating: "]", count: 101)) != nil)
  }

  @Test func textBeyondTheSizeLimitIsRefused() {
    #expect(failure("a: 12345678", limits: YAMLLimits(bytes: 10)) == "t.yaml: 11 bytes, and the limit is 10")
    #expect(failure("[1,2,3]", limits: YAMLLimits(nodes: 3))?.hasSuffix("once aliases are replaced") == true)
  }

  @Test func repetitionsDoNotFillTheLog() throws {
    let document = try YAMLDocument(Array(String(repeating: "a: 1\n", count: 10_000).utf8), file: "t.yaml")
    #expect(document.warnings.count == 100)
  }
}
