import Testing

@testable import YAMLConfig

@Suite struct JSONTests {
  /// JSON that YAML 1.1, or libyaml, reads otherwise or not at all.
  static let documents = [
    (#"["\ud83d\ude00"]"#, "[\"😀\"]"),
    (#"["\u00e9\/\b\f"]"#, "[\"é/\\b\\f\"]"),
    ("[\"a\u{2028}b\u{2029}c\u{85}d\u{7F}e\"]", "[\"a\u{2028}b\u{2029}c\u{85}d\u{7F}e\"]"),
    ("{\t\"a\" :\n\t1 }", #"{"a":1}"#),
    ("{\"a\"\n:\n1}", #"{"a":1}"#),
    ("[1e3,1E+2,-0.5,0,-0]", "[1000.0,100.0,-0.5,0,0]"),
    (#"{"a":"yes","b":"017","c":true,"<<":{"d":1}}"#, #"{"a":"yes","b":"017","c":true,"<<":{"d":1}}"#),
    ("\n [] \r\n", "[]"),
    (#"{"a":{},"b":[[]]}"#, #"{"a":{},"b":[[]]}"#),
  ]

  @Test(arguments: documents) func jsonIsReadAsJSON(_ text: String, _ expected: String) throws {
    #expect(try json(text) == expected)
  }

  @Test func longNamesAndLongLinesAreRead() throws {
    let name = String(repeating: "k", count: 5_000)
    let text = "{\"\(name)\":\"\(String(repeating: "v", count: 200_000))\",\"port\":\"x\"}"
    let root = try YAMLDocument.parse(Array(text.utf8), file: "t.json")
    #expect(root["port"]?.column == 5_000 + 200_000 + 15)
    #expect(root[name]?.column == 5_005)
  }

  @Test func positionsCountCharacters() throws {
    let root = try YAMLDocument.parse(Array("{\"ü😀\": \"\\ud83d\\ude00é\",\r\n\t\"port\": 1}".utf8), file: "t.json")
    #expect(root["ü😀"]?.column == 8)
    #expect(root["port"]?.error("x").description == "t.json:2:10: port: x")
  }

  /// What is nearly JSON is YAML, and what is neither is refused by the YAML reader.
  @Test func textThatIsAlmostJSONIsReadAsYAML() throws {
    #expect(try json("{a: 1, \"b\": [x,],} # c") == #"{"a":1,"b":["x"]}"#)
    #expect(try json("[017]") == "[15]")
    #expect(
      failure("{\"a\": 1,\n \"b\" 2}")
        == "t.yaml:2:6: did not find expected ',' or '}' (while parsing a flow mapping, which starts in line 1)")
    #expect(failure(#"["\ud83d"]"#)?.contains("found invalid Unicode character escape code") == true)
  }

  @Test func repeatedNamesAreWarnings() throws {
    let document = try YAMLDocument(Array(#"{"a":1,"a":2}"#.utf8), file: "t.json")
    #expect(document.root.json() == #"{"a":2}"#)
    #expect(
      document.warnings.map(\.description) == [
        "t.json:1:8: a: the key is already given in line 1; take one of the two out"
      ]
    )
  }
}
