internal import YAMLConfig

/// A text with places `{name}`, as Python's `str.format` fills them in; `{{` and `}}` stand for braces.
struct FormatText: Equatable, Sendable {
  /// Texts and the names of places by turns.
  private var parts: [String] = []

  /// - Parameters:
  ///   - node: the option's value.
  ///   - names: what places may be called.
  /// - Throws: for a brace without its partner and for a place that is not among `names`.
  init(_ node: YAMLNode, names: Set<String>) throws(ConfigError) {
    var text = ""
    var rest = try node.line()[...]
    while let mark = rest.firstIndex(where: { $0 == "{" || $0 == "}" }) {
      text += rest[..<mark]
      let brace = rest[mark]
      rest = rest[rest.index(after: mark)...]
      if rest.first == brace {
        text.append(brace)
        rest = rest.dropFirst()
        continue
      }
      guard brace == "{", let end = rest.firstIndex(of: "}") else {
        throw node.error("a single '\(brace)' stands in the text; a brace itself is written '\(brace)\(brace)'")
      }
      let name = String(rest[..<end])
      guard names.contains(name) else {
        throw node.error("there is nothing called '\(name)' to be put in for {\(name)}")
      }
      parts += [text, name]
      text = ""
      rest = rest[rest.index(after: end)...]
    }
    parts.append(text + rest)
  }

  /// The text with `values` put in; a place without value stays empty.
  func filled(_ values: [String: String]) -> String {
    parts.indices.map { $0.isMultiple(of: 2) ? parts[$0] : values[parts[$0]] ?? "" }.joined()
  }
}
