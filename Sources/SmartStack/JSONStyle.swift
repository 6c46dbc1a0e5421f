/// How a JSON text is laid out. The default is what Python's `json.dumps` writes, which the original tools' files
/// are made with: ASCII only, `, ` and `: ` between the parts.
public struct JSONStyle: Sendable {
  /// Blanks per level, each member and item on a line of its own; nil for one line.
  public var indent: Int?
  /// Members sorted by their names' code points, at every level.
  public var sortsKeys: Bool
  /// Between items; without blank when there is a line break after it.
  public var itemSeparator: String
  /// Between a member's name and its value.
  public var keySeparator: String

  /// A style; see the properties.
  public init(
    indent: Int? = nil, sortsKeys: Bool = false, itemSeparator: String? = nil, keySeparator: String = ": "
  ) {
    self.indent = indent
    self.sortsKeys = sortsKeys
    self.itemSeparator = itemSeparator ?? (indent == nil ? ", " : ",")
    self.keySeparator = keySeparator
  }

  /// `json.dumps(value)`
  public static let python = JSONStyle()
  /// `json.dumps(value, sort_keys=True)`
  public static let pythonSorted = JSONStyle(sortsKeys: true)
  /// `json.dumps(value, sort_keys=True, indent=4, separators=(',', ': '))`: the files that operators read and diff.
  public static let pythonPretty = JSONStyle(indent: 4, sortsKeys: true)
}

extension JSONValue: CustomStringConvertible {
  /// As Python's `json.dumps` writes it, keys sorted.
  public var description: String { text(.pythonSorted) }

  /// The value as text, without a line break at the end.
  public func text(_ style: JSONStyle = .python) -> String {
    var out = ""
    write(style, level: 0, to: &out)
    return out
  }

  private func write(_ style: JSONStyle, level: Int, to out: inout String) {
    switch self {
    case .null: out += "null"
    case .bool(let value): out += value ? "true" : "false"
    case .number(let text): out += text
    case .string(let text): out += JSONText.asciiQuoted(text)
    case .array(let items):
      guard !items.isEmpty else {
        out += "[]"
        return
      }
      out += "["
      for (index, item) in items.enumerated() {
        style.breakLine(isFirst: index == 0, level: level + 1, in: &out)
        item.write(style, level: level + 1, to: &out)
      }
      style.endLine(level: level, in: &out)
      out += "]"
    case .object(let object):
      guard !object.isEmpty else {
        out += "{}"
        return
      }
      let keys = style.sortsKeys ? object.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) } : object.keys
      out += "{"
      for (index, key) in keys.enumerated() {
        style.breakLine(isFirst: index == 0, level: level + 1, in: &out)
        out += JSONText.asciiQuoted(key) + style.keySeparator
        object[key]?.write(style, level: level + 1, to: &out)
      }
      style.endLine(level: level, in: &out)
      out += "}"
    }
  }
}

extension JSONStyle {
  fileprivate func breakLine(isFirst: Bool, level: Int, in out: inout String) {
    if !isFirst { out += itemSeparator }
    endLine(level: level, in: &out)
  }

  fileprivate func endLine(level: Int, in out: inout String) {
    guard let indent else { return }
    out += "\n" + String(repeating: " ", count: indent * level)
  }
}
