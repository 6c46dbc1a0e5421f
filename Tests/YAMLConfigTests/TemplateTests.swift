import Testing

@testable import YAMLConfig

@Suite struct TemplateTests {
  static let environment = ["HOST": "h1", "_A9": "x"]

  static func expand(_ text: String) throws(ConfigError) -> String {
    let bytes = try Array(text.utf8).expandingTemplate(file: "t.conf", environment: environment)
    return String(decoding: bytes, as: UTF8.self)
  }

  @Test(arguments: [
    ("no template % > <", "no template % > <"),
    ("a: <%= ENV['HOST'] %>", "a: h1"),
    ("<%=ENV[\"HOST\"]%>-<%= ENV[ '_A9' ]\n%>", "h1-x"),
    ("[<%= ENV['UNSET'] %>]", "[]"),
    ("", ""),
  ])
  func variablesAreReplaced(_ text: String, _ expected: String) throws {
    #expect(try TemplateTests.expand(text) == expected)
  }

  @Test(arguments: [
    "<% x %>", "<%= `id` %>", "<%= ENV['HOST'] + 1 %>", "<%# comment %>", "<%% %>", "<%= ENV['A', 'B'] %>",
    "<%= ENV['A\"] %>", "<%= ENV[''] %>", "<%= ENV.fetch('HOST') %>", "<%= ENV['a b'] %>", "<%= ENV['HOST'] -%>",
    "<%%>",
  ])
  func otherERBIsRefusedByName(_ piece: String) {
    let error = #expect(throws: ConfigError.self) { _ = try TemplateTests.expand("a: <%= ENV['HOST'] %>\nü: \(piece)") }
    #expect(error?.description.hasPrefix("t.conf:2:4: ERB is not run: \"<%") == true)
  }

  @Test func anUnclosedPieceIsRefused() {
    let error = #expect(throws: ConfigError.self) { _ = try TemplateTests.expand("a: <%= ENV['HOST']\n") }
    #expect(error?.description == "t.conf:1:4: `<%` without a closing `%>`")
  }
}
