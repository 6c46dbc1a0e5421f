internal import SmartStack

/// A synapse.conf.json in the making: the shared sections, and each service as text as soon as it is known, because
/// thousands of services as trees would take several times the memory.
struct GeneratedConfiguration {
  private static let style = JSONStyle.pythonPretty

  /// Sections beside `services`.
  var sections: [String: JSONValue] = [:]
  /// Name → text of the service.
  private(set) var services: [String: String] = [:]

  mutating func add(_ name: String, _ service: JSONValue) {
    services[name] = service.text(GeneratedConfiguration.style, level: 2)
  }

  /// The whole file as Python's `json.dump` writes it with sorted keys and four blanks, without a line break at the end.
  func text() -> String {
    var parts = sections.mapValues { $0.text(GeneratedConfiguration.style, level: 1) }
    parts["services"] = GeneratedConfiguration.object(services, level: 1)
    return GeneratedConfiguration.object(parts, level: 0)
  }

  private static func object(_ members: [String: String], level: Int) -> String {
    guard !members.isEmpty else { return "{}" }
    let blanks = String(repeating: " ", count: level * 4)
    var out = "{"
    out.reserveCapacity(members.values.reduce(1024) { $0 + $1.utf8.count + 64 })
    var mark = "\n"
    for name in members.keys.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
      out += mark + blanks + "    " + JSONText.asciiQuoted(name) + ": "
      out += members[name] ?? "null"
      mark = ",\n"
    }
    return out + "\n" + blanks + "}"
  }
}
