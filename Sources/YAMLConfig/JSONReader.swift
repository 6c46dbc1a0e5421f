internal import SmartStack

/// Reads JSON into the same tree as YAML. Gives up without a word on anything that is not JSON or passes a
/// limit: the YAML reader then reads the text, or says what is wrong with it.
struct JSONReader {
  private(set) var mappings = MappingBuilder()
  private let bytes: [UInt8]
  private let file: String
  private let limits: YAMLLimits
  private var cursor: JSONCursor
  private var nodes = 0
  /// Line and column of the byte at `counted`, which only moves forward.
  private var line: Int32 = 1
  private var column: Int32 = 1
  private var counted = 0

  /// nil if the text does not start like JSON.
  init?(_ bytes: [UInt8], file: String, dialect: JSONDialect = .rfc8259, limits: YAMLLimits) {
    self.bytes = bytes
    self.file = file
    self.limits = limits
    cursor = JSONCursor(bytes, dialect: dialect)
    guard let first = cursor.peek(), first == UInt8(ascii: "{") || first == UInt8(ascii: "[") else { return nil }
  }

  /// The document, or nil if it is not JSON.
  mutating func readDocument() -> YAMLNode? {
    guard let root = readValue(trail: nil, depth: 1), cursor.peek() == nil else { return nil }
    return root
  }

  private mutating func readValue(trail: YAMLTrail?, depth: Int) -> YAMLNode? {
    nodes += 1
    guard let first = cursor.peek(), depth <= limits.depth, nodes <= limits.nodes else { return nil }
    let position = here()
    let value: YAMLNode.Value? =
      switch first {
      case UInt8(ascii: "{"): readMembers(trail: trail, depth: depth).map { .mapping($0) }
      case UInt8(ascii: "["): readItems(trail: trail, depth: depth).map { .sequence($0) }
      default: readScalar(first).map { .scalar($0) }
      }
    return value.map { YAMLNode($0, at: position, trail: trail) }
  }

  private mutating func readMembers(trail: YAMLTrail?, depth: Int) -> [YAMLEntry]? {
    guard cursor.take("{") else { return nil }
    var entries: [YAMLEntry] = []
    if cursor.take("}") { return entries }
    repeat {
      guard cursor.peek() != nil else { return nil }
      let position = here()
      guard let name = cursor.readString(), cursor.take(":") else { return nil }
      nodes += 1
      let key = YAMLNode(.scalar(YAMLScalar(text: name, kind: .text)), at: position, trail: trail)
      guard let value = readValue(trail: YAMLTrail(below: trail, key: name), depth: depth + 1) else { return nil }
      entries.append(YAMLEntry(key: key, value: value))
    } while cursor.take(",")
    return cursor.take("}") ? mappings.build(entries) : nil
  }

  private mutating func readItems(trail: YAMLTrail?, depth: Int) -> [YAMLNode]? {
    guard cursor.take("[") else { return nil }
    var items: [YAMLNode] = []
    if cursor.take("]") { return items }
    repeat {
      guard let item = readValue(trail: YAMLTrail(below: trail, index: items.count), depth: depth + 1) else {
        return nil
      }
      items.append(item)
    } while cursor.take(",")
    return cursor.take("]") ? items : nil
  }

  private mutating func readScalar(_ first: UInt8) -> YAMLScalar? {
    if first == UInt8(ascii: "\"") { return cursor.readString().map { YAMLScalar(text: $0, kind: .text) } }
    switch cursor.readWord() {
    case .null: return YAMLScalar(text: "null", kind: .null)
    case .bool(let value): return YAMLScalar(text: value ? "true" : "false", kind: .bool)
    case .integer(let text): return YAMLScalar(text: text, kind: .int)
    case .float(let text): return YAMLScalar(text: text, kind: .float)
    case nil: return nil
    }
  }

  /// The position of the cursor; counts on from the last one asked for.
  private mutating func here() -> YAMLPosition {
    while counted < cursor.offset {
      let byte = bytes[counted]
      if byte == UInt8(ascii: "\n") {
        line += 1
        column = 1
      } else if byte & 0xC0 != 0x80 {
        column += 1
      }
      counted += 1
    }
    return YAMLPosition(file: file, line: line, column: column)
  }
}
