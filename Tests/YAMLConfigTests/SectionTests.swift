import Testing

@testable import YAMLConfig

@Suite struct SectionTests {
  static let text = """
    name: web
    port: "8080"
    big: 70000
    wait: 1.5
    never: -1
    on: yes
    quoted: "true"
    none: null
    float: 80.5
    whole: 80.0
    hosts: [a, 1, yes]
    one: a
    nested: {a: {x: 1}, b: {x: 2, y: 3}}
    list: [{x: 1}, 2]
    map: {a: 1, b: null}
    """

  @Test func valuesAreReadAsTheirType() throws {
    let section = try section(SectionTests.text)
    #expect(try section.string("name") == "web")
    #expect(try section.int("port", in: 1...65_535) == 8080)
    #expect(try section.int("whole") == 80)
    #expect(try section.double("wait") == 1.5)
    #expect(try section.duration("wait") == .milliseconds(1500))
    #expect(try section.bool("on"))
    #expect(try section.strings("hosts") == ["a", "1", "yes"])
    #expect(try section.strings("one") == ["a"])
    #expect(try section.stringMap("map").map { "\($0.name)=\($0.value)" } == ["a=1", "b="])
    #expect(try section.sections("nested").map { try $0.section.int("x") } == [1, 2])
    #expect(try section.choice("name", of: ["web", "api"]) == "web")
  }

  @Test func absentAndNullAreTheSameButForHas() throws {
    let section = try section(SectionTests.text)
    for key in ["none", "absent"] {
      #expect(try section.optionalInt(key) == nil)
      #expect(try section.optionalString(key) == nil)
      #expect(try section.optionalBool(key) == nil)
      #expect(try section.optionalDouble(key) == nil)
      #expect(try section.optionalDuration(key) == nil)
      #expect(try section.optionalSection(key) == nil)
      #expect(try section.int(key, default: 7) == 7)
      #expect(try section.strings(key).isEmpty)
      #expect(try section.nodes(key).isEmpty)
      #expect(try section.entries(key).isEmpty)
    }
    #expect(section.has("none") && !section.has("absent"))
    #expect(section.rawNode("none")?.isNull == true)
  }

  static let mistakes: [(String, @Sendable (ConfigSection) throws -> Void, String)] = [
    ("range", { _ = try $0.int("big", in: 1...65_535) }, "t.yaml:3:6: big: 70000 is outside 1...65535"),
    ("text", { _ = try $0.int("name") }, "t.yaml:1:7: name: expected an integer, found the text \"web\""),
    ("fraction", { _ = try $0.int("float") }, "t.yaml:9:8: float: expected an integer, found the number 80.5"),
    ("list", { _ = try $0.int("hosts") }, "t.yaml:11:8: hosts: expected an integer, found a list"),
    ("bool", { _ = try $0.bool("quoted") }, "t.yaml:7:9: quoted: expected true or false, found the text \"true\""),
    ("seconds", { _ = try $0.duration("never") }, "t.yaml:5:8: never: -1.0 seconds is outside 0.0...1000000000.0"),
    ("number", { _ = try $0.double("on") }, "t.yaml:6:5: on: expected a number, found the boolean yes"),
    ("string", { _ = try $0.string("map") }, "t.yaml:15:6: map: expected text, found a mapping"),
    ("mapping", { _ = try $0.section("name") }, "t.yaml:1:7: name: expected a mapping, found the text \"web\""),
    ("missing", { _ = try $0.int("absent") }, "t.yaml:1:1: the key 'absent' is missing"),
    ("null", { _ = try $0.string("none") }, "t.yaml:8:7: none: is null, and a value is needed"),
    ("item", { _ = try $0.sectionList("list") }, "t.yaml:14:16: list[1]: expected a mapping, found the number 2"),
    ("choice", { _ = try $0.choice("name", of: ["a", "b"]) }, "t.yaml:1:7: name: 'web' is not one of a, b"),
    ("text list", { _ = try $0.strings("nested") }, "t.yaml:13:9: nested: expected a list of texts, found a mapping"),
  ]

  @Test(arguments: mistakes.indices) func mistakesSayWhereAndWhat(_ index: Int) throws {
    let (_, read, sentence) = SectionTests.mistakes[index]
    let section = try section(SectionTests.text)
    let error = #expect(throws: ConfigError.self) { try read(section) }
    #expect(error?.description == sentence)
  }

  @Test func unknownKeysAreWarningsWithAGuess() throws {
    let section = try section("hosst: a\nport: 1\ninner:\n  chekcs: []\n  x: 1\nextra: 2\n")
    _ = try section.optionalString("host")
    _ = try section.int("port")
    let inner = try section.section("inner")
    _ = try inner.nodes("checks")
    section.acknowledge("extra")
    inner.acknowledge("y")
    #expect(
      section.unknownKeys().map(\.description) == [
        "t.yaml:1:1: hosst: unknown key, ignored; is it 'host'?",
        "t.yaml:4:3: inner.chekcs: unknown key, ignored; is it 'checks'?",
        "t.yaml:5:3: inner.x: unknown key, ignored",
      ])
  }

  private enum Word: String, CaseIterable { case web, api }

  @Test func aChoiceGivesTheCaseOfTheWord() throws {
    let section = try section("a: api\nb: db\n")
    #expect(try section.choice("a", of: Word.self) == .api)
    #expect(try section.choice("c", of: Word.self, default: .web) == .web)
    let error = #expect(throws: ConfigError.self) { _ = try section.choice("b", of: Word.self) }
    #expect(error?.description == "t.yaml:2:4: b: 'db' is not one of web, api")
  }

  @Test func anEmptyDocumentIsAnEmptySection() throws {
    #expect(try section("").keys.isEmpty)
    let error = #expect(throws: ConfigError.self) { _ = try section("- a\n") }
    #expect(error?.description == "t.yaml:1:1: expected a mapping, found a list")
  }
}
