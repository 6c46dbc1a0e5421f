internal import SmartStack

/// A synapse.conf.json in the making: the shared sections, and each service as bytes as soon as it is known, because
/// thousands of services as trees would take several times the memory.
struct SynapseConfigurationText {
  private static let style = JSONStyle.pythonPretty

  /// The sections beside `services`.
  var sections: [String: JSONValue] = [:]
  private var services: [(name: String, bytes: [UInt8])] = []
  private var places: [String: Int] = [:]

  /// The names of the services added.
  var names: Set<String> { Set(places.keys) }

  /// A service as the file has it.
  static func bytes(_ service: JSONValue) -> [UInt8] {
    let bytes = service.bytes(style, level: 2)
    // Without the room to grow, which would be as much again.
    return Array(unsafeUninitializedCapacity: bytes.count) {
      _ = $0.initialize(from: bytes)
      $1 = bytes.count
    }
  }

  /// Of a name given twice the last counts.
  mutating func add(_ name: String, bytes: [UInt8]) {
    if let place = places[name] {
      services[place].bytes = bytes
    } else {
      places[name] = services.count
      services.append((name, bytes))
    }
  }

  /// The whole file as Python's `json.dump` writes it with sorted keys and four blanks, without a line break at the end.
  func file() -> [UInt8] {
    var out: [UInt8] = []
    out.reserveCapacity(services.reduce(16_384) { $0 + $1.bytes.count + $1.name.utf8.count + 80 })
    let keys = (Array(sections.keys) + ["services"]).map { (name: $0, value: $0) }
    SynapseConfigurationText.write(keys, level: 0, to: &out) { section, out in
      guard section == "services" else {
        out += sections[section]?.bytes(SynapseConfigurationText.style, level: 1) ?? []
        return
      }
      let members = services.map { (name: $0.name, value: $0.bytes) }
      SynapseConfigurationText.write(members, level: 1, to: &out) { bytes, out in out.append(contentsOf: bytes) }
    }
    return out
  }

  /// Writes an object whose members are known as text.
  private static func write<Value>(
    _ members: [(name: String, value: Value)], level: Int, to out: inout [UInt8],
    member: (Value, inout [UInt8]) -> Void
  ) {
    guard !members.isEmpty else { return out.append(contentsOf: "{}".utf8) }
    let lineEnd = "\n" + String(repeating: " ", count: level * 4)
    var mark = "{"
    // Mostly sorted already, which sorting is fast with.
    for (name, value) in members.sorted(by: { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }) {
      out.append(contentsOf: "\(mark)\(lineEnd)    \(JSONText.asciiQuoted(name)): ".utf8)
      member(value, &out)
      mark = ","
    }
    out.append(contentsOf: "\(lineEnd)}".utf8)
  }
}
