/// How a JSON text is laid out. The default is what Python's `json.dumps` writes, which upstream's files
/// are made with: ASCII only, `, ` and `: ` between the parts.
public struct JSONStyle: Sendable {
  /// Blanks per level, each member and item on a line of its own; nil for one line.
  public var indent: Int?
  /// Members sorted by their names' code points, at every level.
  public var sortsKeys: Bool

  /// A style; see the properties.
  public init(indent: Int? = nil, sortsKeys: Bool = false) { (self.indent, self.sortsKeys) = (indent, sortsKeys) }

  /// The layout of Python's `json.dumps(value)`.
  public static let python = JSONStyle()
  /// The layout of Python's `json.dumps(value, sort_keys=True)`.
  public static let pythonSorted = JSONStyle(sortsKeys: true)
  /// `json.dumps(value, sort_keys=True, indent=4, separators=(',', ': '))`: the files that operators read and diff.
  public static let pythonPretty = JSONStyle(indent: 4, sortsKeys: true)
}

extension JSONValue: CustomStringConvertible {
  /// As Python's `json.dumps` writes it, keys sorted.
  public var description: String { text(.pythonSorted) }

  /// The value as text, without a line break at the end.
  /// - Parameter level: how deep in a larger text it is to stand; its first line is not indented.
  public func text(_ style: JSONStyle = .python, level: Int = 0) -> String {
    String(decoding: bytes(style, level: level), as: UTF8.self)
  }

  /// Returns the text as the bytes of a file.
  public func bytes(_ style: JSONStyle = .python, level: Int = 0) -> [UInt8] {
    var out: [UInt8] = []
    write(style, level: level, to: &out)
    return out
  }

  /// Appends the text as bytes; see ``text(_:level:)``.
  public func write(_ style: JSONStyle, level: Int = 0, to out: inout [UInt8]) {
    switch self {
    case .null: out += "null".utf8
    case .bool(let value): out += (value ? "true" : "false").utf8
    case .number(let text): out += text.utf8
    case .string(let text): JSONText.appendASCIIQuoted(text, to: &out)
    case .array(let items):
      guard !items.isEmpty else {
        out += "[]".utf8
        return
      }
      out.append(UInt8(ascii: "["))
      for (index, item) in items.enumerated() {
        style.breakLine(isFirst: index == 0, level: level + 1, in: &out)
        item.write(style, level: level + 1, to: &out)
      }
      style.endLine(level: level, in: &out)
      out.append(UInt8(ascii: "]"))
    case .object(let object):
      guard !object.isEmpty else {
        out += "{}".utf8
        return
      }
      let keys = style.sortsKeys ? object.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) } : object.keys
      out.append(UInt8(ascii: "{"))
      for (index, key) in keys.enumerated() {
        style.breakLine(isFirst: index == 0, level: level + 1, in: &out)
        JSONText.appendASCIIQuoted(key, to: &out)
        out += ": ".utf8
        object[key]?.write(style, level: level + 1, to: &out)
      }
      style.endLine(level: level, in: &out)
      out.append(UInt8(ascii: "}"))
    }
  }
}

extension JSONStyle {
  fileprivate func breakLine(isFirst: Bool, level: Int, in out: inout [UInt8]) {
    if !isFirst { out += (indent == nil ? ", " : ",").utf8 }
    endLine(level: level, in: &out)
  }

  fileprivate func endLine(level: Int, in out: inout [UInt8]) {
    guard let indent else { return }
    out.append(UInt8(ascii: "\n"))
    out.append(contentsOf: repeatElement(UInt8(ascii: " "), count: indent * level))
  }
}
