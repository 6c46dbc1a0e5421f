import SmartStack
import Testing

@Suite struct JSONTests {
  @Test(arguments: [
    ("[1, 2.50,-0, 1e3 ,true,null]", "[1,2.50,-0,1e3,true,null]"), ("{ }", "{}"), ("[ ]", "[]"),
    (#""\u0041\n""#, #""A\n""#),
    (#"{"a" : {"b":[{}]} }"#, #"{"a":{"b":[{}]}}"#), (#""\ud83d\ude00 \u0001 \/""#, "\"😀 \\u0001 /\""),
  ])
  func compactText(_ text: String, _ expected: String) {
    var cursor = JSONCursor(Array(text.utf8))
    let read = cursor.readCompact()
    #expect(read == expected)
    let rest = cursor.peek()
    #expect(rest == nil)
  }

  @Test(arguments: [
    "", "[", "[1", "[1,", "[1,]", "{", "{1:2}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "01", "1.", ".5", "+1", "1e", "-",
    "nul", "True",
    "\"", "\"\\x\"", "\"\\u12\"", "\"\\ud83d\"", "\"\\ude00\"", "\"\\ud83d\\u0041\"", "\"a\nb\"", "'a'", "NaN",
    "\"\u{1}\"",
  ])
  func whatIsNoJSON(_ text: String) {
    var cursor = JSONCursor(Array(text.utf8))
    let read = cursor.readCompact()
    #expect(read == nil)
  }

  @Test func textThatIsNoUTF8IsNoJSON() {
    var cursor = JSONCursor([0x22, 0xFF, 0x22])
    let read = cursor.readString()
    #expect(read == nil)
  }

  @Test func depthIsLimited() {
    var cursor = JSONCursor(Array((String(repeating: "[", count: 65) + String(repeating: "]", count: 65)).utf8))
    let read = cursor.readCompact()
    #expect(read == nil)
    var endless = JSONCursor(Array(repeating: UInt8(ascii: "["), count: 1_000_000))
    let other = endless.readCompact()
    #expect(other == nil)
  }

  @Test func labelsKeepOrderAndTypes() {
    var labels: Labels = ["b": "2", "a": .json("1"), "b": "3"]
    #expect(labels.json == #"{"b":"3","a":1}"#)
    #expect(labels["a"] != "1" && labels["b"] == "3" && labels["c"] == nil)
    labels["b"] = nil
    labels["c"] = nil
    labels["d"] = ""
    #expect(labels.json == #"{"a":1,"d":""}"#)
    #expect(Labels().isEmpty && !labels.isEmpty)
  }
}
