import SmartStack

/// JSON as a tree, for recorded cases and for looking into a state file.
indirect enum JSONTree: Hashable {
  case null
  case bool(Bool)
  case number(String)
  case string(String)
  case array([JSONTree])
  case object([String: JSONTree], order: [String])

  /// nil for anything that is not one whole JSON value.
  init?(parsing bytes: [UInt8]) {
    var cursor = JSONCursor(bytes)
    guard let tree = JSONTree(&cursor), cursor.peek() == nil else { return nil }
    self = tree
  }

  private init?(_ cursor: inout JSONCursor) {
    switch cursor.peek() {
    case UInt8(ascii: "{"):
      var members: [String: JSONTree] = [:]
      var order: [String] = []
      let isWhole = cursor.readObject { name, cursor in
        guard let value = JSONTree(&cursor) else { return false }
        members[name] = value
        order.append(name)
        return true
      }
      guard isWhole else { return nil }
      self = .object(members, order: order)
    case UInt8(ascii: "["):
      var values: [JSONTree] = []
      let isWhole = cursor.readArray { cursor in
        guard let value = JSONTree(&cursor) else { return false }
        values.append(value)
        return true
      }
      guard isWhole else { return nil }
      self = .array(values)
    case UInt8(ascii: "\""):
      guard let text = cursor.readString() else { return nil }
      self = .string(text)
    default:
      switch cursor.readWord() {
      case .null: self = .null
      case .bool(let value): self = .bool(value)
      case .integer(let text), .float(let text): self = .number(text)
      case nil: return nil
      }
    }
  }

  var object: [String: JSONTree]? { if case .object(let members, _) = self { members } else { nil } }
  var keys: [String] { if case .object(_, let order) = self { order } else { [] } }
  var string: String? { if case .string(let text) = self { text } else { nil } }
  var int: Int? { if case .number(let text) = self { Int(text) } else { nil } }
  var array: [JSONTree]? { if case .array(let values) = self { values } else { nil } }
  var strings: [String]? { array.map { $0.compactMap(\.string) } }
  /// A string is a list of one.
  var lines: [String]? { string.map { [$0] } ?? strings }

  subscript(key: String) -> JSONTree? { object?[key] }
}
