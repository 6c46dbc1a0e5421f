internal import SmartStack
internal import YAMLConfig

/// Words of a HAProxy file: what may stand in one, and how the rest is quoted.
enum ProxyText {
  /// Names of frontends, backends and ACLs: letters, digits and `.:_-`.
  static func isName(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.allSatisfy { $0.isLetterOrDigit || ".:_-".utf8.contains($0) }
  }

  /// A time as HAProxy writes it: `10m`, `500ms`, `30`.
  static func isTime(_ text: String) -> Bool {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    guard (1...9).contains(digits.count) else { return false }
    return ["", "us", "ms", "s", "m", "h", "d"].contains(text.dropFirst(digits.count))
  }

  /// Whether `text` is one word of a line as it stands, without quotes.
  static func isPlainWord(_ text: String) -> Bool {
    !text.isEmpty && text.isOneLine && text.utf8.allSatisfy { $0 > 0x20 && !"\"'\\#".utf8.contains($0) }
  }

  /// One word: as it stands if it can, else quoted.
  static func word(_ text: String) -> String { isPlainWord(text) ? text : quoted(text) }

  /// In double quotes, with what has a meaning there escaped.
  static func quoted(_ text: String) -> String {
    "\"" + text.escaping { $0 == "\\" || $0 == "\"" || $0 == "$" ? "\\\($0)" : nil } + "\""
  }

  /// A constant where HAProxy expects a log-format: quoted, `%` doubled.
  static func quotedFormat(_ text: String) -> String {
    quoted(text.split(separator: "%", omittingEmptySubsequences: false).joined(separator: "%%"))
  }
}

extension YAMLScalar {
  /// The text that Python's `str()` makes of the value: `True`, `None`, `8` for `010`.
  var pythonText: String {
    switch kind {
    case .text: text
    case .null: "None"
    case .bool: bool == true ? "True" : "False"
    case .int: json
    case .float: double.map { $0.isFinite ? json : "\($0)" } ?? json
    }
  }

  /// What Python takes for true: not null, not false, not zero, not empty.
  var isTrue: Bool {
    switch kind {
    case .null: false
    case .bool: bool == true
    case .int, .float: double != 0
    case .text: !text.isEmpty
    }
  }
}

extension YAMLNode {
  /// What Python takes for true.
  var isTrue: Bool {
    switch value {
    case .scalar(let scalar): scalar.isTrue
    case .sequence(let items): !items.isEmpty
    case .mapping(let entries): !entries.isEmpty
    }
  }

  /// A number that is not in quotes; a float loses its fraction.
  func truncatedNumber(in range: ClosedRange<Int>) throws(ConfigError) -> Int {
    guard case .scalar(let scalar) = value, let number = scalar.double else {
      throw error("expected a number, found \(summary)")
    }
    guard number.isFinite, number.magnitude < 1e15, range.contains(Int(number)) else {
      throw error("\(scalar.text) is outside \(range.lowerBound)...\(range.upperBound)")
    }
    return Int(number)
  }

  /// Text of one line.
  func line() throws(ConfigError) -> String {
    let text = try string()
    if !text.isOneLine { throw error("a line break or control character cannot stand here") }
    return text
  }
}
