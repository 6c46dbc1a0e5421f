internal import SmartStack

/// A synapse.conf.json in the making: the shared sections, and each service as bytes as soon as it is known, because
/// thousands of services as trees would take several times the memory.
struct GeneratedConfiguration {
  private static let style = JSONStyle.pythonPretty

  /// Sections beside `services`.
  var sections: [String: JSONValue] = [:]
  /// All services, one behind the other.
  private var bytes: [UInt8] = []
  private var places: [String: Range<Int>] = [:]

  /// The names of the services added.
  var names: Set<String> { Set(places.keys) }

  mutating func add(_ name: String, _ service: JSONValue) {
    let start = bytes.count
    service.write(GeneratedConfiguration.style, level: 2, to: &bytes)
    places[name] = start..<bytes.count
  }

  /// The whole file as Python's `json.dump` writes it with sorted keys and four blanks, without a line break at the end.
  func file() -> [UInt8] {
    var out: [UInt8] = []
    out.reserveCapacity(bytes.count + places.count * 80 + 16_384)
    GeneratedConfiguration.write(Array(sections.keys) + ["services"], level: 0, to: &out) { section, out in
      guard section == "services" else {
        sections[section]?.write(GeneratedConfiguration.style, level: 1, to: &out)
        return
      }
      GeneratedConfiguration.write(Array(places.keys), level: 1, to: &out) { name, out in
        if let place = places[name] { out.append(contentsOf: bytes[place]) }
      }
    }
    return out
  }

  /// Writes an object whose members are known as text.
  private static func write(
    _ keys: [String], level: Int, to out: inout [UInt8], member: (String, inout [UInt8]) -> Void
  ) {
    guard !keys.isEmpty else { return out.append(contentsOf: "{}".utf8) }
    let lineEnd = "\n" + String(repeating: " ", count: level * 4)
    var mark = "{"
    for key in keys.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
      out.append(contentsOf: "\(mark)\(lineEnd)    \(JSONText.asciiQuoted(key)): ".utf8)
      member(key, &out)
      mark = ","
    }
    out.append(contentsOf: "\(lineEnd)}".utf8)
  }
}
