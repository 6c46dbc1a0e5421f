/// Writing the words of JSON.
public enum JSONText {
  /// `text` as a JSON string, with its quotes; only what must be escaped is, as Ruby and most others write it.
  public static func quoted(_ text: String) -> String {
    let isPlain = text.utf8.allSatisfy { $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }
    if isPlain { return "\"" + text + "\"" }
    let escaped = text.escaping { scalar in
      switch scalar {
      case "\"": "\\\""
      case "\\": "\\\\"
      case "\n": "\\n"
      case "\r": "\\r"
      case "\t": "\\t"
      case "\u{8}": "\\b"
      case "\u{C}": "\\f"
      case _ where scalar.value < 0x20: (scalar.value < 16 ? "\\u000" : "\\u00") + String(scalar.value, radix: 16)
      default: nil
      }
    }
    return "\"" + escaped + "\""
  }

  /// `text` as a JSON string in ASCII: all but its printable characters is escaped, as Python writes it.
  public static func asciiQuoted(_ text: String) -> String {
    var out: [UInt8] = []
    appendASCIIQuoted(text, to: &out)
    return String(decoding: out, as: UTF8.self)
  }

  /// Appends the quoted text to a larger one.
  static func appendASCIIQuoted(_ text: String, to out: inout [UInt8]) {
    out.append(UInt8(ascii: "\""))
    var text = text
    let isDone = text.withUTF8 { bytes in
      let isPlain = bytes.allSatisfy {
        $0 &- 0x20 < 0x5F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\")
      }
      if isPlain { out.append(contentsOf: bytes) }
      return isPlain
    }
    if !isDone {
      for unit in text.utf16 { appendEscaped(unit, to: &out) }
    }
    out.append(UInt8(ascii: "\""))
  }

  private static func appendEscaped(_ unit: UInt16, to out: inout [UInt8]) {
    switch unit {
    case 0x22: out += "\\\"".utf8
    case 0x5C: out += "\\\\".utf8
    case 0x0A: out += "\\n".utf8
    case 0x0D: out += "\\r".utf8
    case 0x09: out += "\\t".utf8
    case 0x08: out += "\\b".utf8
    case 0x0C: out += "\\f".utf8
    case 0x20...0x7E: out.append(UInt8(unit))
    default: out += "\\u\(String(UInt32(unit) + 0x10000, radix: 16).dropFirst())".utf8
    }
  }

  /// `value` as a JSON number; nil for infinities and NaN, which JSON cannot say.
  public static func number(_ value: Double) -> String? { value.isFinite ? String(value) : nil }
}
