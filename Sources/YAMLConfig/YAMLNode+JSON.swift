internal import SmartStack

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
