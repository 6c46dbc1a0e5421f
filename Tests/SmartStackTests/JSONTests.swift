import SmartStack
import Testing

@Suite struct JSONTests {
  @Test(arguments: [
    ("[1, 2.50,-0, 1e3 ,true,null]", "[1,2.50,-0,1e3,true,null]"), ("{ }", "{}"), ("[ ]", "[]"),
    (#""\u0041\n""#, #""A\n""#),
    (#"{"a" : {"b":[{}]} }"#, #"{"a":{"b":[{}]}}"#), (#""\ud83d\ude00 \u0001 \/""#, "\"😀 \\u0001 /\""),
  ])
  func jsonIsReadAsCompactText(_ text: String, _ expected: String) {
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
  func otherTextIsNotJSON(_ text: String) {
    var cursor = JSONCursor(Array(text.utf8))
    let read = cursor.readCompact()
    #expect(read == nil)
  }

  @Test func bytesOutsideUTF8AreNotJSON() {
    var cursor = JSONCursor([0x22, 0xFF, 0x22])
    let read = cursor.readString()
    #expect(read == nil)
  }

  @Test func nestingBeyondTheLimitIsRefused() {
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
    #expect(Labels().entries.isEmpty && !labels.entries.isEmpty)
  }
}

@Suite struct JSONValueTests {
  @Test(arguments: [
    "{}", "[1, 2.5, -3, 1e9]", #"{"a": [true, false, null], "b": {"c": "d"}}"#, #""\u0041\/""#, "  1  ", "NaN",
    #"["\ud83d", "\ude00", "\ud83d\u0041", -Infinity]"#,
  ]) func thePythonDialectReadsWhatPythonReads(_ text: String) {
    #expect(JSONValue(text.utf8, dialect: .python) != nil)
  }

  @Test(arguments: [
    "", "{", "}", "[1,]", "{\"a\"}", "{\"a\":1,}", "01", "1.", ".5", "+1", "1e", "tru", "'a'", "\"a", "\"\\x\"",
    "\"\\u12\"", "\"\u{1}\"", "1 2", "[", "nan", "{1: 2}", "0x10", "--1",
  ]) func thePythonDialectRefusesWhatPythonRefuses(_ text: String) {
    #expect(JSONValue(text.utf8) == nil)
    #expect(JSONValue(text.utf8, dialect: .python) == nil)
  }

  @Test func halfASurrogatePairIsReadInThePythonDialectOnly() {
    #expect(JSONValue(#""\ud83d\u0041""#.utf8, dialect: .python) == "\u{FFFD}A")
    #expect(JSONValue(#""\ud83d\u0041""#.utf8) == nil)
    #expect(JSONValue("NaN".utf8) == nil)
  }

  @Test func membersThatNobodyAskedForAreNotRead() {
    let text = Array(
      #"{"a": {"x": [1, "]}\"", {}], "b": 2}, "y": "\u{1f600}", "b": [{"z": true, "a": 3}], "x": -1e5}"#.utf8)
    let broken = text.map { $0 == 0xF0 ? 0xFF : $0 }
    #expect(JSONValue(text, keeping: ["a", "b"]) == ["a": ["b": 2], "b": [["a": 3]]])
    #expect(JSONValue(broken, keeping: ["a", "b"]) == ["a": ["b": 2], "b": [["a": 3]]])
    #expect(JSONValue(broken) == nil)
    for half in [#"{"x": ["#, #"{"x": "a"#, #"{"x": {"a""#, #"{"x": }"#, #"{"x": ]"#] {
      #expect(JSONValue(Array(half.utf8), keeping: []) == nil, "\(half)")
    }
  }

  @Test func bytesThatAreNoTextAreReplacedWhereAsked() {
    let text: [UInt8] = Array(#"["a"#.utf8) + [0xC3] + Array(#"\n"]"#.utf8)
    #expect(JSONValue(text) == nil && JSONValue(text, dialect: .python) == nil)
    #expect(JSONValue(text, dialect: .repairing) == ["a\u{FFFD}\n"])
  }

  @Test func treesBeyondTheDepthAreRefused() {
    let deep = String(repeating: "[", count: 100_000)
    #expect(JSONValue(deep.utf8) == nil)
    let allowed = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
    #expect(JSONValue(allowed.utf8) != nil)
  }

  @Test func numbersKeepTheirText() throws {
    let seed = "135184279079909606119241261820643097662"
    #expect(try #require(JSONValue("[\(seed), 1.50, 1e3]".utf8)).text() == "[\(seed), 1.50, 1e3]")
    #expect(JSONValue.double(2).text() == "2.0")
    #expect(JSONValue.double(1e16).text() == "1e+16")
    #expect(JSONValue.double(0.00001).text() == "1e-05")
    #expect(JSONValue.double(.infinity).text() == "Infinity")
  }

  /// The texts are Python's: `json.dumps(value, sort_keys=True, indent=4, separators=(',', ': '))` and its plain form.
  @Test func jsonIsWrittenAsPythonWritesIt() {
    let value: JSONValue = [
      "b": ["x": [], "y": [:]], "a": [1, true, .null, "é😀\u{7F}\u{8}/\"\\"], "B": .double(1), "": "e",
    ]
    #expect(
      value.text()
        == #"{"b": {"x": [], "y": {}}, "a": [1, true, null, "\u00e9\ud83d\ude00\u007f\b/\"\\"], "B": 1.0, "": "e"}"#)
    #expect(
      value.text(.pythonPretty) == """
        {
            "": "e",
            "B": 1.0,
            "a": [
                1,
                true,
                null,
                "\\u00e9\\ud83d\\ude00\\u007f\\b/\\"\\\\"
            ],
            "b": {
                "x": [],
                "y": {}
            }
        }
        """)
  }

  @Test func membersKeepTheirPlaces() throws {
    var object = try #require(JSONValue(#"{"b":1,"a":2,"b":3}"#.utf8)?.object)
    #expect(object.keys == ["b", "a"] && object["b"] == 3)
    object["c"] = 4
    object["b"] = nil
    object["a"] = 5
    #expect(object.members.map(\.key) == ["a", "c"] && object["a"] == 5 && object.count == 2)
    #expect(object == ["c": 4, "a": 5])
  }
}
