/// What counts as JSON.
public enum JSONDialect: Sendable {
  /// JSON as RFC 8259 defines it.
  case rfc8259
  /// What Python's `json.loads` reads: `NaN` and `Infinity` are numbers, and half of a surrogate pair is let through
  /// (here as U+FFFD).
  case python
  /// What ``python`` is, and bytes that are not UTF-8 are read as U+FFFD.
  case repairing

  /// Whether Python's liberties count.
  fileprivate var isPython: Bool {
    switch self {
    case .rfc8259: false
    case .python, .repairing: true
    }
  }

  fileprivate func text(_ bytes: some Collection<UInt8>) -> String? {
    switch self {
    case .rfc8259, .python: String(validating: bytes, as: UTF8.self)
    case .repairing: String(decoding: bytes, as: UTF8.self)
    }
  }
}

/// Reads JSON (RFC 8259) piece by piece, without building a tree.
///
/// Every reading function moves past what it read and returns nil, or false, when something else stands
/// there; the cursor is then of no further use but for telling where (``offset``).
public struct JSONCursor {
  /// A value that is neither a string, an object nor an array.
  public enum Word: Equatable, Sendable {
    case null
    case bool(Bool)
    /// The text of a number without fraction and exponent.
    case integer(String)
    /// The text of any other number.
    case float(String)
  }

  private let bytes: [UInt8]
  /// Where the next byte to be read is.
  public private(set) var offset = 0

  private let dialect: JSONDialect

  /// A cursor before the first byte.
  public init(_ bytes: [UInt8], dialect: JSONDialect = .rfc8259) {
    self.bytes = bytes
    self.dialect = dialect
  }

  /// The next byte that is not blank, without moving past it; nil at the end.
  public mutating func peek() -> UInt8? {
    while offset < bytes.count {
      switch bytes[offset] {
      case 0x20, 0x0A, 0x0D, 0x09: offset += 1
      default: return bytes[offset]
      }
    }
    return nil
  }

  /// Moves past `mark` if it is next, blanks aside.
  public mutating func take(_ mark: Unicode.Scalar) -> Bool {
    guard peek() == UInt8(ascii: mark) else { return false }
    offset += 1
    return true
  }

  /// Reads an object, calling `member` with each name; it must read the value and return true to go on.
  public mutating func readObject(_ member: (String, inout JSONCursor) -> Bool) -> Bool {
    guard take("{") else { return false }
    if take("}") { return true }
    repeat {
      guard let name = readString(), take(":"), member(name, &self) else { return false }
    } while take(",")
    return take("}")
  }

  /// Reads an array, calling `item` before each value; it must read the value and return true to go on.
  public mutating func readArray(_ item: (inout JSONCursor) -> Bool) -> Bool {
    guard take("[") else { return false }
    if take("]") { return true }
    repeat {
      guard item(&self) else { return false }
    } while take(",")
    return take("]")
  }

  /// Moves past a value of any kind and returns its compact text; nil for what is not JSON or is nested
  /// deeper than `depth`.
  public mutating func readCompact(depth: Int = 64) -> String? {
    switch peek() {
    case UInt8(ascii: "\""): return readString().map(JSONText.quoted)
    case UInt8(ascii: "{"):
      var members: [String] = []
      let isWhole =
        depth > 0
        && readObject { name, cursor in
          guard let value = cursor.readCompact(depth: depth - 1) else { return false }
          members.append(JSONText.quoted(name) + ":" + value)
          return true
        }
      return isWhole ? "{" + members.joined(separator: ",") + "}" : nil
    case UInt8(ascii: "["):
      var items: [String] = []
      let isWhole =
        depth > 0
        && readArray { cursor in
          guard let value = cursor.readCompact(depth: depth - 1) else { return false }
          items.append(value)
          return true
        }
      return isWhole ? "[" + items.joined(separator: ",") + "]" : nil
    default:
      switch readWord() {
      case .null: return "null"
      case .bool(let value): return value ? "true" : "false"
      case .integer(let text), .float(let text): return text
      case nil: return nil
      }
    }
  }

  /// Moves past a value of any kind and nesting without reading it; of what stands in it only quotes and brackets are
  /// looked at.
  public mutating func skipValue() -> Bool {
    var depth = 0
    repeat {
      guard let byte = peek() else { return false }
      switch byte {
      case UInt8(ascii: "\""): guard skipString() else { return false }
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        depth += 1
        offset += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        depth -= 1
        offset += 1
      case UInt8(ascii: ","), UInt8(ascii: ":"): offset += 1
      default:
        let start = offset
        while offset < bytes.count, JSONCursor.isWordByte(bytes[offset]) { offset += 1 }
        guard offset > start else { return false }
      }
    } while depth > 0
    return depth == 0
  }

  private mutating func skipString() -> Bool {
    offset += 1
    while offset < bytes.count {
      switch bytes[offset] {
      case UInt8(ascii: "\""):
        offset += 1
        return true
      case UInt8(ascii: "\\"): offset += 2
      default: offset += 1
      }
    }
    return false
  }

  // MARK: Words

  /// Reads `null`, `true`, `false` or a number.
  public mutating func readWord() -> Word? {
    guard peek() != nil else { return nil }
    let start = offset
    while offset < bytes.count, JSONCursor.isWordByte(bytes[offset]) { offset += 1 }
    let word = bytes[start..<offset]
    if word.elementsEqual("null".utf8) { return .null }
    if word.elementsEqual("true".utf8) { return .bool(true) }
    if word.elementsEqual("false".utf8) { return .bool(false) }
    let text = String(decoding: word, as: UTF8.self)
    if dialect.isPython, ["NaN", "Infinity", "-Infinity"].contains(text) { return .float(text) }
    guard let isWhole = JSONCursor.isWholeNumber(word) else { return nil }
    return isWhole ? .integer(text) : .float(text)
  }

  private static func isWordByte(_ byte: UInt8) -> Bool {
    byte.isLetterOrDigit || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
  }

  /// `-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?`; nil for what is not a number.
  private static func isWholeNumber(_ word: ArraySlice<UInt8>) -> Bool? {
    var rest = word.first == UInt8(ascii: "-") ? word.dropFirst() : word
    let whole = rest.prefix { $0.isDigit }
    guard let first = whole.first, first != UInt8(ascii: "0") || whole.count == 1 else { return nil }
    rest = rest.dropFirst(whole.count)
    if rest.isEmpty { return true }
    if rest.first == UInt8(ascii: ".") {
      let fraction = rest.dropFirst().prefix { $0.isDigit }
      if fraction.isEmpty { return nil }
      rest = rest.dropFirst(1 + fraction.count)
    }
    if let mark = rest.first, mark | 0x20 == UInt8(ascii: "e") {
      rest = rest.dropFirst()
      if rest.first == UInt8(ascii: "+") || rest.first == UInt8(ascii: "-") { rest = rest.dropFirst() }
      let exponent = rest.prefix { $0.isDigit }
      if exponent.isEmpty { return nil }
      rest = rest.dropFirst(exponent.count)
    }
    return rest.isEmpty ? false : nil
  }

  // MARK: Strings

  /// Reads a string and resolves its escapes.
  public mutating func readString() -> String? {
    guard take("\"") else { return nil }
    let start = offset
    while offset < bytes.count {
      switch bytes[offset] {
      case UInt8(ascii: "\""):
        defer { offset += 1 }
        return dialect.text(bytes[start..<offset])
      case UInt8(ascii: "\\"): return readEscapedString(from: start)
      case 0..<0x20: return nil
      default: offset += 1
      }
    }
    return nil
  }

  /// The rest of a string whose first escape is next; `start` is where it began.
  private mutating func readEscapedString(from start: Int) -> String? {
    var text = Array(bytes[start..<offset])
    while offset < bytes.count {
      let byte = bytes[offset]
      offset += 1
      switch byte {
      case UInt8(ascii: "\""): return dialect.text(text)
      case UInt8(ascii: "\\"):
        guard let scalar = readEscape() else { return nil }
        text.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
      case 0..<0x20: return nil
      default: text.append(byte)
      }
    }
    return nil
  }

  private mutating func readEscape() -> Unicode.Scalar? {
    guard offset < bytes.count else { return nil }
    let byte = bytes[offset]
    offset += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"): break
    default: return nil
    }
    return readUnicodeEscape()
  }

  /// Four digits, and the second half of the surrogate pair of which they may be the first.
  private mutating func readUnicodeEscape() -> Unicode.Scalar? {
    guard let unit = readHex() else { return nil }
    let half: Unicode.Scalar? = dialect.isPython ? "\u{FFFD}" : nil
    guard (0xD800..<0xDC00).contains(unit) else { return Unicode.Scalar(unit) ?? half }
    let second = offset
    guard offset + 1 < bytes.count, bytes[offset] == UInt8(ascii: "\\"), bytes[offset + 1] == UInt8(ascii: "u") else {
      return half
    }
    offset += 2
    if let low = readHex(), (0xDC00..<0xE000).contains(low) {
      return Unicode.Scalar(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00))
    }
    offset = second
    return half
  }

  private mutating func readHex() -> UInt32? {
    guard offset + 4 <= bytes.count else { return nil }
    var value: UInt32 = 0
    for byte in bytes[offset..<offset + 4] {
      guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { return nil }
      value = value << 4 | UInt32(digit)
    }
    offset += 4
    return value
  }
}
