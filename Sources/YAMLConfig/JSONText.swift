/// Writing JSON: compact, in the document's order, only what must be escaped is escaped.
enum JSONText {
  static func quoted(_ text: String) -> String {
    var out = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": out += "\\\""
      case "\\": out += "\\\\"
      case "\n": out += "\\n"
      case "\r": out += "\\r"
      case "\t": out += "\\t"
      case "\u{8}": out += "\\b"
      case "\u{C}": out += "\\f"
      case _ where scalar.value < 0x20: out += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
      default: out.unicodeScalars.append(scalar)
      }
    }
    return out + "\""
  }

  /// nil for what JSON cannot say.
  static func number(_ value: Double?) -> String? {
    guard let value, value.isFinite else { return nil }
    return String(value)
  }
}

extension YAMLNode {
  /// The value as compact JSON, keys in the document's order.
  public func json() -> String {
    switch value {
    case .scalar(let scalar): return scalar.json
    case .sequence(let items): return "[" + items.map { $0.json() }.joined(separator: ",") + "]"
    case .mapping(let entries):
      let members = entries.map { JSONText.quoted($0.jsonName) + ":" + $0.value.json() }
      return "{" + members.joined(separator: ",") + "}"
    }
  }
}

extension YAMLEntry {
  /// The key as JSON writes it: `yes` is `true`, `0x10` is `16`, as both Python and Ruby have it.
  var jsonName: String {
    guard case .scalar(let scalar) = key.value, scalar.kind != .text else { return name }
    return scalar.json
  }
}
