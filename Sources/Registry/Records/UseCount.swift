/// Values that several users share: made for the first user of a key, given back when its last user leaves.
struct UseCount<Key: Hashable, Value> {
  private var entries: [Key: (value: Value, users: Int)] = [:]

  var values: [Key: Value] { entries.mapValues(\.value) }

  /// The value of `key`; nil without a user.
  subscript(key: Key) -> Value? { entries[key]?.value }

  /// Counts one more user of `key`.
  /// - Parameter make: called for the first user.
  mutating func join(_ key: Key, make: () -> Value) -> Value {
    let value = entries[key]?.value ?? make()
    entries[key] = (value, (entries[key]?.users ?? 0) + 1)
    return value
  }

  /// Counts one user of `key` less.
  /// - Returns: the value, if that was its last user; it is forgotten then.
  mutating func leave(_ key: Key) -> Value? {
    guard let entry = entries[key] else { return nil }
    guard entry.users == 1 else {
      entries[key] = (entry.value, entry.users - 1)
      return nil
    }
    entries[key] = nil
    return entry.value
  }

  /// Forgets every value and user.
  /// - Returns: the values that were shared, by their keys.
  @discardableResult
  mutating func removeAll() -> [Key: Value] {
    defer { entries = [:] }
    return values
  }
}
