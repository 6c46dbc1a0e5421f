import Testing

@testable import YAMLConfig

@Suite struct DocumentTests {
  /// YAML 1.1 takes 1e+20 for a text, and U+0085 for a line break: JSON is read as JSON.
  @Test(arguments: ["-100000000000000000000.0", "1.5e-300", "\"a\\Nb\"", "{a: [.inf, 0o7, ~, yes]}"])
  func whatIsWrittenAsJSONIsReadAsJSON(_ text: String) throws {
    let json = "[\(try YAMLDocument(Array(text.utf8), file: "f").root.json())]"
    #expect(YAMLDocument.json(Array(json.utf8), file: "f")?.json() == json)
  }

  /// Documents and the JSON of what PyYAML's safe_load makes of them.
  static let documents = [
    ("a: 1\nb: [x, y]\n", "{\"a\":1,\"b\":[\"x\",\"y\"]}"),
    ("base: &b {x: 1, y: 2}\nuse: *b\n", "{\"base\":{\"x\":1,\"y\":2},\"use\":{\"x\":1,\"y\":2}}"),
    ("b: &b {x: 1, y: 2}\nd: {<<: *b, y: 3, z: 4}\n", "{\"b\":{\"x\":1,\"y\":2},\"d\":{\"x\":1,\"y\":3,\"z\":4}}"),
    ("b: &b {x: 1, y: 2}\nd: {y: 3, <<: *b, z: 4}\n", "{\"b\":{\"x\":1,\"y\":2},\"d\":{\"x\":1,\"y\":3,\"z\":4}}"),
    (
      "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nd: {<<: [*a, *b], w: 0}\n",
      "{\"a\":{\"x\":1,\"y\":1},\"b\":{\"y\":2,\"z\":2},\"d\":{\"y\":1,\"z\":2,\"x\":1,\"w\":0}}"
    ),
    (
      "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nd:\n  <<: *a\n  <<: *b\n",
      "{\"a\":{\"x\":1,\"y\":1},\"b\":{\"y\":2,\"z\":2},\"d\":{\"x\":1,\"y\":2,\"z\":2}}"
    ),
    (
      "a: &a {x: 1}\nb: &b {<<: *a, y: 2}\nc: {<<: *b, z: 3}\n",
      "{\"a\":{\"x\":1},\"b\":{\"x\":1,\"y\":2},\"c\":{\"x\":1,\"y\":2,\"z\":3}}"
    ),
    ("a: {<<: {x: 1}, y: 2}\n", "{\"a\":{\"x\":1,\"y\":2}}"),
    ("\"<<\": 1\n", "{\"<<\":1}"),
    ("on: 2\n~: 3\n0x10: 4\n1_0: 5\n1.50: 6\n", "{\"true\":2,\"null\":3,\"16\":4,\"10\":5,\"1.5\":6}"),
    ("- - - 1\n    - 2\n  - x\n-\n  a: b\n", "[[[1,2],\"x\"],{\"a\":\"b\"}]"),
    (
      "a: |\n  x\n   y\n\n  z\nb: >\n  x\n  y\n\n  z\nc: |-\n  x\n",
      "{\"a\":\"x\\n y\\n\\nz\\n\",\"b\":\"x y\\nz\\n\",\"c\":\"x\"}"
    ),
    ("? a\n: b\n? c\n", "{\"a\":\"b\",\"c\":null}"),
    ("a: \"x\\ty\\u00fc\\x41\\\\\\/\"\n", "{\"a\":\"x\\tyüA\\\\/\"}"),
    ("%YAML 1.1\n---\na: 1\n...\n", "{\"a\":1}"),
    ("# only\n", "null"),
    ("", "null"),
    ("--- text\n", "\"text\""),
    ("a: \"x\n  y\"\nb: x\n  y\n", "{\"a\":\"x y\",\"b\":\"x y\"}"),
    ("{a: b, \"c\": [d, {e: f}], g}\n", "{\"a\":\"b\",\"c\":[\"d\",{\"e\":\"f\"}],\"g\":null}"),
    ("a: 'it''s'\n", "{\"a\":\"it's\"}"),
    ("a: {x: 1, x: 2}\n", "{\"a\":{\"x\":2}}"),
    ("a: x # c\nb: x#c\n", "{\"a\":\"x\",\"b\":\"x#c\"}"),
    ("a: 'über'\nü: ß\n", "{\"a\":\"über\",\"ü\":\"ß\"}"),
    ("a: [1, 2,]\n", "{\"a\":[1,2]}"),
    ("a:\n- 1\n- 2\nb: 3\n", "{\"a\":[1,2],\"b\":3}"),
    ("url: http://x:80/y?z=1\n", "{\"url\":\"http://x:80/y?z=1\"}"),
    ("\u{FEFF}a: 1\n", "{\"a\":1}"),
    ("a: 1\r\nb: 2\r\n", "{\"a\":1,\"b\":2}"),
    // PyYAML refuses an anchor that is given twice; YAML 1.1 and Psych take the latest.
    ("a: &x 5\nb: [*x, *x]\nc: &x 6\nd: *x\n", "{\"a\":5,\"b\":[5,5],\"c\":6,\"d\":6}"),
  ]

  @Test(arguments: documents) func documentsMeanWhatPyYAMLReads(_ text: String, _ expected: String) throws {
    #expect(try json(text) == expected)
  }

  static let failures = [
    (
      "a: [1, 2\nb: 3\n",
      "t.yaml:2:2: did not find expected ',' or ']' (while parsing a flow sequence, which starts in line 1)"
    ),
    ("a: b: c\n", "t.yaml:1:5: mapping values are not allowed in this context"),
    ("a: 1\n  b: 2\n", "t.yaml:2:4: mapping values are not allowed in this context"),
    ("a:\n\t- x\n", "t.yaml:2:1: found a tab; indent with blanks"),
    ("ä:\n  b: 1\n\tc: 2\n", "t.yaml:3:1: found a tab; indent with blanks"),
    (
      "x: \"a\\qb\"\n",
      "t.yaml:1:6: found unknown escape character (while parsing a quoted scalar, which starts in line 1)"
    ),
    ("a: *b\n", "t.yaml:1:4: a: the alias *b names no anchor above it"),
    ("a: &x {b: [1, *x]}\n", "t.yaml:1:15: a.b[1]: the alias *x stands inside of what it names"),
    ("web:\n  <<: 5\n", "t.yaml:2:7: web.<<: only a mapping or a list of mappings can be merged, not the number 5"),
    ("web: {<<: [{a: 1}, x]}\n", "t.yaml:1:20: web.<<[1]: only mappings can be merged, not the text \"x\""),
    ("{[a]: 1}\n", "t.yaml:1:2: a key must be a single word or text, not a list"),
    (
      "a: 1\n---\nb: {\n",
      "t.yaml:4:1: did not find expected node content (while parsing a flow node, which starts in line 4)"
    ),
    (
      "ü: \"ß\\q\"\n",
      "t.yaml:1:6: found unknown escape character (while parsing a quoted scalar, which starts in line 1)"
    ),
    ("a: x\u{1}y\n", "t.yaml:1:5: control characters are not allowed (0x1)"),
  ]

  @Test(arguments: failures) func errorsSayWhereTheyAre(_ text: String, _ sentence: String) {
    #expect(failure(text) == sentence)
  }

  @Test func bytesThatAreNoTextAreRefusedWithTheirPlace() {
    let sentence = failure(Array("a: 1\nü: x".utf8) + [0xFF, 0x0A])
    #expect(sentence == "t.yaml:2:5: invalid leading UTF-8 octet (0xff)")
  }

  @Test func positionsAndPathsFollowTheText() throws {
    let root = try YAMLDocument.parse(
      Array("web:\n  checks:\n    - {type: http, 'a b': ü, port: 80}\n".utf8), file: "n.yaml")
    let check = try #require(try root["web"]?["checks"]?.items().first)
    #expect(check.error("x").description == "n.yaml:3:7: web.checks[0]: x")
    #expect(check["port"]?.error("x").description == "n.yaml:3:36: web.checks[0].port: x")
    #expect(check["a b"]?.path == "web.checks[0].\"a b\"")
  }

  @Test func keysCannotBreakTheLineOfAnError() {
    let error = ConfigError(file: "f", line: 1, column: 2, path: "a\u{61C}b\u{2028}", problem: "is odd")
    #expect(error.description == "f:1:2: a\\u{61c}b\\u{2028}: is odd")
  }

  @Test func whatCameThroughAnAliasKnowsWhereItIsUsed() throws {
    let root = try YAMLDocument.parse(Array("base: &b {port: x}\nweb: {<<: *b}\nlist: [*b]\n".utf8), file: "n.yaml")
    #expect(root["web"]?["port"]?.error("x").description == "n.yaml:1:17: web.port: x")
    #expect(try root["list"]?.items().first?["port"]?.error("x").description == "n.yaml:1:17: list[0].port: x")
  }

  @Test func repeatedKeysAndFurtherDocumentsAreWarnings() throws {
    let text = "a: 1\nb: 2\na: 3\nm: &m {x: 1}\nn: {<<: *m, x: 2}\n---\nc: 4\n--- 5\n"
    let document = try YAMLDocument(Array(text.utf8), file: "t.yaml")
    #expect(document.root.json() == #"{"a":3,"b":2,"m":{"x":1},"n":{"x":2}}"#)
    #expect(
      document.warnings.map(\.description) == [
        "t.yaml:3:1: a: the key is already given in line 1; take one of the two out",
        "t.yaml:6:1: a second document starts here, and only the first is read",
      ])
  }
}
