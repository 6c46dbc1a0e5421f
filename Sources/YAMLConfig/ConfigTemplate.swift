internal import SmartStack

/// What is left of ERB: `<%= ENV['NAME'] %>` is replaced by the variable's value, anything else between
/// `<%` and `%>` is refused, because a configuration file is not a program.
public enum ConfigTemplate {
  /// The text with variables put in; an unset one is empty, as upstream has it.
  ///
  /// Line numbers stay right as long as no value holds a line break; columns behind a replacement on the
  /// same line are those of the resulting text.
  /// - Throws: at the first other piece of ERB, naming it.
  public static func expand(
    _ bytes: [UInt8], file: String, environment: [String: String]
  ) throws(ConfigError) -> [UInt8] {
    guard let first = find("<%", in: bytes[...]) else { return bytes }
    var out = Array(bytes[..<first])
    var rest = bytes[first...]
    while let open = find("<%", in: rest) {
      out += rest[rest.startIndex..<open]
      guard let close = find("%>", in: rest[(open + 2)...]) else {
        throw ConfigError(file: file, after: bytes[..<open], problem: "`<%` without a closing `%>`")
      }
      let piece = String(decoding: rest[open..<close + 2], as: UTF8.self)
      guard let name = variable(in: piece) else {
        throw ConfigError(
          file: file, after: bytes[..<open],
          problem: "ERB is not run: \(JSONText.quoted(String(piece.prefix(80)))); only <%= ENV['NAME'] %> is replaced")
      }
      out += Array((environment[name] ?? "").utf8)
      rest = rest[(close + 2)...]
    }
    return out + rest
  }

  /// The NAME of `<%= ENV['NAME'] %>` or `<%= ENV["NAME"] %>`.
  private static func variable(in piece: String) -> String? {
    let inside = piece.utf8.dropFirst(2).dropLast(2)
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

  private static func find(_ marker: StaticString, in bytes: ArraySlice<UInt8>) -> Int? {
    let (first, second) = (marker.utf8Start[0], marker.utf8Start[1])
    var index = bytes.startIndex
    while index + 1 < bytes.endIndex {
      if bytes[index] == first, bytes[index + 1] == second { return index }
      index += 1
    }
    return nil
  }
}
