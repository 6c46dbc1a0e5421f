internal import SmartStack

/// The parts of an agent's configuration that a new file changes, one level below its sections.
enum ChangedParts {
  /// `services.web.main would be added`, `haproxy.global would change`…, sorted by kind of change and name.
  /// - Parameter old: nil for a file that is not there.
  static func lines(from old: [UInt8]?, to new: [UInt8]) -> [String] {
    let (before, after) = (parts(of: old ?? []), parts(of: new))
    let added = after.keys.filter { before[$0] == nil }
    let removed = before.keys.filter { after[$0] == nil }
    let changed = after.keys.filter { name in before[name].map { $0 != after[name] } ?? false }
    return [(added, "would be added"), (removed, "would be removed"), (changed, "would change")].flatMap {
      names, words in
      names.sorted().map { "\($0) \(words)" }
    }
  }

  private static func parts(of bytes: [UInt8]) -> [String: JSONValue] {
    var parts: [String: JSONValue] = [:]
    for (section, value) in JSONValue(bytes)?.object?.members ?? [] {
      guard let members = value.object?.members, !members.isEmpty else {
        parts[section] = value
        continue
      }
      for (name, value) in members { parts["\(section).\(name)"] = value }
    }
    return parts
  }
}
