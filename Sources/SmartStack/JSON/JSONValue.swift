/// A JSON text as a tree: members keep their order, numbers the way they were written.
public enum JSONValue: Hashable, Sendable {
  case null
  case bool(Bool)
  /// The text of a number; equal only to the same text (`1.0` is not `1`).
  case number(String)
  case string(String)
  case array([JSONValue])
  case object(JSONObject)

  /// A number without fraction.
  public static func int(_ value: some BinaryInteger) -> JSONValue { .number(String(value)) }

  /// A number as Python writes a float: `1.0`, `1e+16`, and `NaN` or `Infinity`, which are not JSON.
  public static func double(_ value: Double) -> JSONValue {
    if value.isNaN { return .number("NaN") }
    if value.isInfinite { return .number(value < 0 ? "-Infinity" : "Infinity") }
    return .number("\(value)")
  }

  /// Reads one whole JSON value; nil for anything else, and for nesting deeper than `depth`. Of a key given
  /// twice the last value counts.
  /// - Parameter names: the members to read, at any depth; the others are passed over and take no memory. nil reads all.
  public init?(
    _ bytes: some Collection<UInt8>, dialect: JSONDialect = .rfc8259, depth: Int = 64, keeping names: Set<String>? = nil
  ) {
    var cursor = JSONCursor(Array(bytes), dialect: dialect)
    guard let value = cursor.readValue(depth: depth, keeping: names), cursor.peek() == nil else { return nil }
    self = value
  }

  /// The member of an object.
  public subscript(key: String) -> JSONValue? { object?[key] }

  /// Whether this is `null`.
  public var isNull: Bool { self == .null }

  /// The members, if this is an object.
  public var object: JSONObject? { if case .object(let members) = self { members } else { nil } }

  /// The items, if this is an array.
  public var array: [JSONValue]? { if case .array(let items) = self { items } else { nil } }

  /// The items, if this is an array of strings only.
  public var strings: [String]? {
    guard let array else { return nil }
    let strings = array.compactMap(\.string)
    return strings.count == array.count ? strings : nil
  }

  /// The text, if this is a string.
  public var string: String? { if case .string(let text) = self { text } else { nil } }

  /// The truth, if this is a boolean.
  public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }

  /// The number, if this is one that is written without fraction and exponent and fits.
  public var int: Int? { if case .number(let text) = self { Int(text) } else { nil } }

  /// The number, if this is a finite one.
  public var double: Double? {
    guard case .number(let text) = self, let value = Double(text), value.isFinite else { return nil }
    return value
  }
}

/// The members of a JSON object, in the order they were first given; two are equal whatever the order.
public struct JSONObject: Hashable, Sendable {
  /// The members by their names.
  public private(set) var values: [String: JSONValue] = [:]
  /// The members' names, in order.
  public private(set) var keys: [String] = []

  /// An object without members.
  public init() {}

  /// How many members there are.
  public var count: Int { keys.count }
  /// Whether there are none.
  public var isEmpty: Bool { keys.isEmpty }

  /// A member's value. Setting keeps a known member's place, nil removes it.
  public subscript(key: String) -> JSONValue? {
    get { values[key] }
    set {
      let old = values[key]
      values[key] = newValue
      if old == nil, newValue != nil { keys.append(key) }
      if old != nil, newValue == nil { keys.removeAll { $0 == key } }
    }
  }

  /// Names and values, in order.
  public var members: [(key: String, value: JSONValue)] { keys.map { ($0, values[$0] ?? .null) } }

  /// The order does not count.
  public static func == (one: JSONObject, other: JSONObject) -> Bool { one.values == other.values }

  /// Hashes the values in order, as `==` compares them.
  public func hash(into hasher: inout Hasher) { hasher.combine(values) }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
  /// Of a key given twice the last value counts.
  public init(dictionaryLiteral elements: (String, JSONValue)...) {
    for (key, value) in elements { self[key] = value }
  }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
  ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByStringInterpolation
{
  /// Creates a string value from a literal.
  public init(stringLiteral value: String) { self = .string(value) }
  /// Creates a number from a literal.
  public init(integerLiteral value: Int) { self = .int(value) }
  /// Creates a boolean from a literal.
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  /// Creates an array from a literal.
  public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
  /// Creates an object from a literal.
  public init(dictionaryLiteral elements: (String, JSONValue)...) {
    var object = JSONObject()
    for (key, value) in elements { object[key] = value }
    self = .object(object)
  }
}

extension JSONCursor {
  /// Moves past a value of any kind and returns it; nil for what is not JSON or is nested deeper than `depth`.
  /// - Parameter names: the members of objects to read; nil reads all.
  public mutating func readValue(depth: Int = 64, keeping names: Set<String>? = nil) -> JSONValue? {
    switch peek() {
    case UInt8(ascii: "\""): return readString().map(JSONValue.string)
    case UInt8(ascii: "{"):
      var members = JSONObject()
      let isWhole =
        depth > 0
        && readObject { name, cursor in
          if let names, !names.contains(name) { return cursor.skipValue() }
          guard let value = cursor.readValue(depth: depth - 1, keeping: names) else { return false }
          members[name] = value
          return true
        }
      return isWhole ? .object(members) : nil
    case UInt8(ascii: "["):
      var items: [JSONValue] = []
      let isWhole =
        depth > 0
        && readArray { cursor in
          guard let value = cursor.readValue(depth: depth - 1, keeping: names) else { return false }
          items.append(value)
          return true
        }
      return isWhole ? .array(items) : nil
    default:
      switch readWord() {
      case .null: return .null
      case .bool(let value): return .bool(value)
      case .integer(let text), .float(let text): return .number(text)
      case nil: return nil
      }
    }
  }
}
