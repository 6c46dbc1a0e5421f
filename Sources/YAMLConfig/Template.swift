internal import SmartStack

/// What is left of ERB: `<%= ENV['NAME'] %>` is replaced by the variable's value, anything else between
/// `<%` and `%>` is refused, because a configuration file is not a program.
extension [UInt8] {
  /// The text with variables put in; an unset one is empty, as upstream has it.
  ///
  /// Line numbers stay right as long as no value holds a line break; columns behind a replacement on the
  /// same line are those of the resulting text.
  /// - Throws: at the first other piece of ERB, naming it.
  public func expandingTemplate(file: String, environment: [String: String]) throws(ConfigError) -> [UInt8] {
    guard let first = self[...].place(of: "<%") else { return self }
    var out = Array(self[..<first])
    var rest = self[first...]
    while let open = rest.place(of: "<%") {
      out += rest[rest.startIndex..<open]
      guard let close = rest[(open + 2)...].place(of: "%>") else {
        throw ConfigError(file: file, after: self[..<open], problem: "`<%` without a closing `%>`")
      }
      let piece = String(decoding: rest[open..<close + 2], as: UTF8.self)
      guard let name = piece.nameOfVariable else {
        throw ConfigError(
          file: file, after: self[..<open],
          problem: "ERB is not run: \(JSONText.quoted(String(piece.prefix(80)))); only <%= ENV['NAME'] %> is replaced")
      }
      out += Array((environment[name] ?? "").utf8)
      rest = rest[(close + 2)...]
    }
    return out + rest
  }
}

extension String {
  /// The NAME of `<%= ENV['NAME'] %>` or `<%= ENV["NAME"] %>`.
  fileprivate var nameOfVariable: String? {
    let inside = utf8.dropFirst(2).dropLast(2)
    guard inside.first == UInt8(ascii: "=") else { return nil }
    let code = inside.dropFirst().trimmedBlanks
    guard code.starts(with: "ENV[".utf8), code.last == UInt8(ascii: "]") else { return nil }
    let argument = code.dropFirst(4).dropLast().trimmedBlanks
    guard argument.count > 2, let quote = argument.first, quote == argument.last,
      quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\"")
    else { return nil }
    let name = argument.dropFirst().dropLast()
    return name.allSatisfy { $0 == 0x5F || $0.isLetterOrDigit } ? String(name) : nil
  }
}

extension ArraySlice<UInt8> {
  fileprivate func place(of marker: StaticString) -> Int? {
    let (first, second) = (marker.utf8Start[0], marker.utf8Start[1])
    return indices.dropLast().first { self[$0] == first && self[$0 + 1] == second }
  }
}
