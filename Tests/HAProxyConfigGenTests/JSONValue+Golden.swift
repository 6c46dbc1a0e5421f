import SmartStack

extension JSONValue {
  var keys: [String] { object?.keys ?? [] }
  /// A string is a list of one.
  var lines: [String]? { string.map { [$0] } ?? strings }
}
