/// Text for people, on one line of a log, a page or a terminal: what strangers wrote cannot break the line, move the
/// cursor or turn the reading direction.
extension String {
  /// The text on one line: what would break it is written as `\n`, `\r`, `\t` or `\u{85}`, and `…` stands for what is
  /// beyond `limit` characters.
  public func oneLine(limit: Int = 300) -> String {
    if utf8.count <= limit, utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) { return self }
    var line = ""
    var count = 0
    for scalar in unicodeScalars {
      if count == limit { return line + "…" }
      count += 1
      switch scalar {
      case "\n": line += "\\n"
      case "\r": line += "\\r"
      case "\t": line += "\\t"
      case _ where scalar.breaksLine: line += "\\u{" + String(scalar.value, radix: 16) + "}"
      default: line.unicodeScalars.append(scalar)
      }
    }
    return line
  }

  /// The text with some of its characters written otherwise.
  /// - Parameter replacement: nil keeps a character.
  public func escaping(_ replacement: (Unicode.Scalar) -> String?) -> String {
    var out = ""
    out.reserveCapacity(utf8.count)
    for scalar in unicodeScalars {
      if let text = replacement(scalar) { out += text } else { out.unicodeScalars.append(scalar) }
    }
    return out
  }

  /// Whether the text is one line wherever it is written: no character in it ends a line, controls a terminal or turns the
  /// direction of what follows. A tab does not.
  public var isOneLine: Bool {
    utf8.allSatisfy { (0x20..<0x7F).contains($0) } || !unicodeScalars.contains { $0.breaksLine && $0 != "\t" }
  }

  /// The text as it may be shown at a terminal: every character that controls one is written as in ``oneLine(limit:)``,
  /// except tabs and the line feeds that end lines.
  public var withoutControls: String {
    if utf8.allSatisfy({ (0x20..<0x7F).contains($0) || $0 == 0x0A || $0 == 0x09 }) { return self }
    return lines.map { line in
      line.split(separator: "\t", omittingEmptySubsequences: false).map { String($0).oneLine(limit: .max) }
        .joined(separator: "\t")
    }.joined(separator: "\n")
  }

  /// The text on one line in backquotes, cut after 120 characters: a bad value, shown.
  public var quoted: String { "`\(oneLine(limit: 120))`" }

  /// The text as the name of a file: bytes that are no letters, digits, `.`, `-` or `_` are written as `%` and two
  /// hexadecimal digits, and so is a dot at the beginning.
  public var escapedFileName: String {
    var name = ""
    for byte in utf8 {
      let isPlain = byte.isLetterOrDigit || byte == 0x2D || byte == 0x5F || byte == 0x2E && !name.isEmpty
      name += isPlain ? String(UnicodeScalar(byte)) : "%" + [byte].hexadecimal
    }
    return name
  }

  /// The first line with a visible character, without blanks at both ends, as ``oneLine(limit:)``; nil if there is none.
  public func firstLine(limit: Int = 200) -> String? {
    lines
      .first { $0.unicodeScalars.contains { !$0.breaksLine && !$0.properties.isWhitespace } }
      .map { $0.trimmedBlanks.oneLine(limit: limit) }
  }
}

extension StringProtocol {
  /// The lines of the text: only `\n` and `\r\n` end one, whatever else looks like a line break.
  public var lines: [Substring] {
    Substring(self).unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      Substring(line.last == "\r" ? line.dropLast() : line)
    }
  }

  /// The text without ASCII white space at both ends.
  public var trimmedBlanks: String { String(Substring(Substring(self).utf8.trimmedBlanks)) }
}

extension Substring.UTF8View {
  /// The bytes without ASCII white space at both ends.
  public var trimmedBlanks: Substring.UTF8View {
    func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
    var bytes = drop(while: isBlank)
    while let last = bytes.last, isBlank(last) { bytes.removeLast() }
    return bytes
  }
}

extension Unicode.Scalar {
  /// Whether the character ends a line, controls a terminal or turns the direction of what follows.
  public var breaksLine: Bool {
    switch value {
    case 0..<0x20, 0x7F...0x9F: true
    case 0x061C, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069: true
    default: false
    }
  }
}

extension Int {
  /// The number and a noun: `1 service`, `2 services`.
  public func counted(_ noun: String) -> String { "\(self) \(noun)\(self == 1 ? "" : "s")" }
}
