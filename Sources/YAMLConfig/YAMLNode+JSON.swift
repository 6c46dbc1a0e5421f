public import SmartStack

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

  /// The value as a JSON tree, numbers as Python writes them: `017` is 15, `1.50` is 1.5; those
  /// that JSON has not are texts: `inf`, `nan`.
  public func jsonValue() -> JSONValue {
    switch value {
    case .scalar(let scalar):
      switch scalar.kind {
      case .null: return .null
      case .bool: return .bool(scalar.bool == true)
      case .int: return .number(scalar.json)
      case .float:
        let number = scalar.double ?? .nan
        return number.isFinite ? .double(number) : .string("\(number)")
      case .text: return .string(scalar.text)
      }
    case .sequence(let items): return .array(items.map { $0.jsonValue() })
    case .mapping(let entries):
      var object = JSONObject()
      for entry in entries { object[entry.jsonName] = entry.value.jsonValue() }
      return .object(object)
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
