internal import SmartStack
internal import YAMLConfig

extension SmartStackNamespace {
  /// The namespace as upstream's list of local services has it.
  /// - Parameter node: what the namespace was read from; nil when the file does not have it.
  func listed(_ node: YAMLNode?) -> JSONObject {
    guard let node, case .mapping(let entries) = node.value else { return ["mode": .null] }
    var values = JSONObject()
    for entry in entries {
      switch SmartStackKey(rawValue: entry.name) {
      case .routes: values[entry.name] = .array(routes.map { [.string($0.source), .string($0.destination)] })
      case .extraAdvertise: values[entry.name] = .array(extraAdvertise.map { [$0.source.json, $0.destination.json] })
      case .mode: break
      case let key: if key?.isCopied == true { values[entry.name] = entry.value.jsonValue() }
      }
    }
    values[SmartStackKey.mode.rawValue] = mode.map(JSONValue.string) ?? (isInSmartStack ? "http" : .null)
    return values
  }
}

extension SmartStackNamespace.Location {
  /// The text of a location, `type:location`.
  fileprivate var json: JSONValue { .string("\(type):\(name)") }
}
