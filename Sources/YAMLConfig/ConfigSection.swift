internal import SmartStack

/// One mapping of a configuration, read key by key; knows in the end which keys nobody asked for.
///
/// A key that is absent and one that is null are the same to every reader here but ``has(_:)``. Readers
/// without a `default` throw when the key is missing; the `optional…` ones return nil.
public final class ConfigSection {
  /// The mapping that the section reads.
  public let node: YAMLNode
  private let entries: [YAMLEntry]
  private let places: [String: Int]
  private var known: Set<String> = []
  private var inner: [ConfigSection] = []
  private var remarks: [ConfigError] = []

  /// - Throws: when `node` is not a mapping; null counts as an empty one.
  public init(_ node: YAMLNode) throws(ConfigError) {
    self.node = node
    let entries = node.isNull ? [] : try node.entries()
    self.entries = entries
    places = Dictionary(uniqueKeysWithValues: entries.indices.map { (entries[$0].name, $0) })
  }

  /// The keys in the file's order.
  public var keys: [String] { entries.map(\.name) }

  /// Whether the key is there, even if it is null.
  public func has(_ key: String) -> Bool { places[key] != nil }

  /// The value, or nil when the key is absent or null. Marks the key as known.
  public func node(_ key: String) -> YAMLNode? {
    known.insert(key)
    guard let node = places[key].map({ entries[$0].value }), !node.isNull else { return nil }
    return node
  }

  /// The value, null included; nil only when the key is absent. Marks the key as known.
  public func rawNode(_ key: String) -> YAMLNode? {
    known.insert(key)
    return places[key].map { entries[$0].value }
  }

  /// The value; throws when it is missing.
  public func required(_ key: String) throws(ConfigError) -> YAMLNode {
    guard let node = node(key) else { throw missing(key) }
    return node
  }

  /// Marks keys as known that are not read, so that they give no warning.
  public func acknowledge(_ keys: String...) { known.formUnion(keys) }

  /// An error at a key, or at the section when the key is absent.
  public func error(at key: String, _ problem: String) -> ConfigError {
    if let place = places[key] { return entries[place].value.error(problem) }
    return node.error("'\(key)': \(problem)")
  }

  private func missing(_ key: String) -> ConfigError {
    has(key) ? error(at: key, "is null, and a value is needed") : node.error("the key '\(key)' is missing")
  }

  // MARK: Scalars

  /// An integer within `range`; see ``YAMLNode/int(in:)``.
  public func int(
    _ key: String, in range: ClosedRange<Int> = .min ... .max, default fallback: Int? = nil
  ) throws(ConfigError) -> Int {
    if let value = try optionalInt(key, in: range) ?? fallback { return value }
    throw missing(key)
  }

  /// An integer within `range`; nil when the key is absent or null.
  public func optionalInt(
    _ key: String, in range: ClosedRange<Int> = .min ... .max
  ) throws(ConfigError) -> Int? {
    try node(key)?.int(in: range)
  }

  /// A finite number within `range`.
  public func double(
    _ key: String, in range: ClosedRange<Double> = -Double.greatestFiniteMagnitude...Double.greatestFiniteMagnitude,
    default fallback: Double? = nil
  ) throws(ConfigError) -> Double {
    if let value = try optionalDouble(key, in: range) ?? fallback { return value }
    throw missing(key)
  }

  /// A finite number within `range`; nil when the key is absent or null.
  public func optionalDouble(
    _ key: String, in range: ClosedRange<Double> = -Double.greatestFiniteMagnitude...Double.greatestFiniteMagnitude
  ) throws(ConfigError) -> Double? {
    try node(key)?.double(in: range)
  }

  /// A time in seconds; `range` is in seconds too.
  public func duration(
    _ key: String, in range: ClosedRange<Double> = 0...1e9, default fallback: Duration? = nil
  ) throws(ConfigError) -> Duration {
    if let value = try optionalDuration(key, in: range) ?? fallback { return value }
    throw missing(key)
  }

  /// A time in seconds; nil when the key is absent or null.
  public func optionalDuration(
    _ key: String, in range: ClosedRange<Double> = 0...1e9
  ) throws(ConfigError) -> Duration? {
    try node(key)?.duration(in: range)
  }

  /// A boolean; the text `"true"` is none.
  public func bool(_ key: String, default fallback: Bool? = nil) throws(ConfigError) -> Bool {
    if let value = try optionalBool(key) ?? fallback { return value }
    throw missing(key)
  }

  /// A boolean; nil when the key is absent or null.
  public func optionalBool(_ key: String) throws(ConfigError) -> Bool? {
    try node(key)?.bool()
  }

  /// The text of a scalar.
  public func string(_ key: String, default fallback: String? = nil) throws(ConfigError) -> String {
    if let value = try optionalString(key) ?? fallback { return value }
    throw missing(key)
  }

  /// The text of a scalar; nil when the key is absent or null.
  public func optionalString(_ key: String) throws(ConfigError) -> String? {
    try node(key)?.string()
  }

  /// An address or a DNS name, without blanks around it and without the brackets of an IPv6 address.
  public func host(_ key: String, default fallback: String? = nil) throws(ConfigError) -> String {
    let text = try string(key, default: fallback)
    guard let host = ServerText.host(text) else {
      throw error(at: key, "\(JSONText.quoted(text)) is neither an address nor a host name")
    }
    return host
  }

  /// One of a few words.
  public func choice(_ key: String, of words: [String], default fallback: String? = nil) throws(ConfigError) -> String {
    let text = try string(key, default: fallback)
    guard words.contains(text) else {
      throw error(at: key, "'\(text)' is not one of \(words.joined(separator: ", "))")
    }
    return text
  }

  /// One of the words of an enumeration.
  public func choice<Word: RawRepresentable<String> & CaseIterable>(
    _ key: String, of words: Word.Type, default fallback: Word? = nil
  ) throws(ConfigError) -> Word {
    let text = try choice(key, of: words.allCases.map(\.rawValue), default: fallback?.rawValue)
    guard let word = Word(rawValue: text) else { throw missing(key) }
    return word
  }

  // MARK: Lists and mappings

  /// A list of texts, or one text; empty when absent.
  public func strings(_ key: String) throws(ConfigError) -> [String] {
    try node(key)?.strings() ?? []
  }

  /// The items of a list; empty when absent.
  public func nodes(_ key: String) throws(ConfigError) -> [YAMLNode] {
    try node(key)?.items() ?? []
  }

  /// A mapping of texts in the file's order; empty when absent.
  public func stringMap(_ key: String) throws(ConfigError) -> [(name: String, value: String)] {
    try node(key)?.stringMap() ?? []
  }

  /// An inner mapping; its unknown keys count as this section's.
  public func section(_ key: String) throws(ConfigError) -> ConfigSection { try adopt(required(key)) }

  /// An inner mapping; nil when the key is absent or null.
  public func optionalSection(_ key: String) throws(ConfigError) -> ConfigSection? {
    guard let node = node(key) else { return nil }
    return try adopt(node)
  }

  /// A mapping of mappings, in the file's order; empty when absent. Throws at the first that is none:
  /// to skip one bad entry and keep the others, go through ``entries(_:)``.
  public func sections(_ key: String) throws(ConfigError) -> [(name: String, section: ConfigSection)] {
    var sections: [(name: String, section: ConfigSection)] = []
    for entry in try entries(key) { sections.append((entry.name, try adopt(entry.value))) }
    return sections
  }

  /// A mapping's keys and values; empty when absent.
  public func entries(_ key: String) throws(ConfigError) -> [YAMLEntry] {
    try node(key)?.entries() ?? []
  }

  /// A list of mappings; empty when absent.
  public func sectionList(_ key: String) throws(ConfigError) -> [ConfigSection] {
    var sections: [ConfigSection] = []
    for item in try nodes(key) { sections.append(try adopt(item)) }
    return sections
  }

  /// Opens a node below this section as a section whose unknown keys are reported with this one's.
  public func adopt(_ node: YAMLNode) throws(ConfigError) -> ConfigSection {
    let section = try ConfigSection(node)
    inner.append(section)
    return section
  }

  // MARK: Warnings

  /// Adds a warning about a value that is not used.
  public func warn(at key: String, _ problem: String) { remarks.append(error(at: key, problem)) }

  /// One warning per key of a section whose reading ended early that neither it nor `sample` asked for, a section that was
  /// read to its end.
  public func unknownKeys(beside sample: ConfigSection) -> [ConfigError] {
    known.formUnion(sample.known)
    return unknownKeysHere()
  }

  /// One warning per key that was never asked for, here and in the sections opened from here, after those of
  /// ``warn(at:_:)``.
  public func unknownKeys() -> [ConfigError] {
    remarks + unknownKeysHere() + inner.flatMap { $0.unknownKeys() }
  }

  private func unknownKeysHere() -> [ConfigError] {
    var warnings: [ConfigError] = []
    for entry in entries where !known.contains(entry.name) {
      let hint = entry.name.nearest(in: known.filter { !has($0) }).map { "; is it '\($0)'?" } ?? ""
      warnings.append(entry.value.error("unknown key, ignored\(hint)").at(entry.key))
    }
    return warnings
  }
}
