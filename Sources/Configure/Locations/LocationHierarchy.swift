public import YAMLConfig

/// How the locations of a company contain each other: ecosystem, superregion, region, habitat, or whatever
/// `location_types.json` lists, general to specific. A location may have several parents.
public struct LocationHierarchy: Sendable {
  /// The types of location, the most general first.
  public let types: [String]
  private let ranks: [String: Int]
  /// Edges between `<location>_<type>`, both ways; a location without any edge is unknown.
  private var children: [String: [String]] = [:]
  private var parents: [String: [String]] = [:]

  /// Reads `location_types.json` and `location_mapping.json`.
  /// - Parameter directory: where the two are; `/nail/etc/services` by custom.
  /// - Throws: for the file that is missing or wrong, at its line.
  public init(directory: String, files: SourceFiles) throws(ConfigError) {
    try self.init(
      types: files.requiredDocument("\(directory)/location_types.json"),
      mapping: files.requiredDocument("\(directory)/location_mapping.json"))
  }

  /// - Parameters:
  ///   - types: a list of texts.
  ///   - mapping: `{"<location>_<type>": {…}}`, nested to any depth.
  public init(types: YAMLNode, mapping: YAMLNode) throws(ConfigError) {
    var names: [String] = []
    for item in try types.items() { names.append(try item.string()) }
    self.types = names
    ranks = Dictionary(names.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
    try add(mapping, below: nil)
  }

  private mutating func add(_ node: YAMLNode, below parent: String?) throws(ConfigError) {
    for entry in try node.entries() {
      if let parent {
        if children[parent]?.contains(entry.name) != true { children[parent, default: []].append(entry.name) }
        if parents[entry.name]?.contains(parent) != true { parents[entry.name, default: []].append(parent) }
      }
      try add(entry.value, below: entry.name)
    }
  }

  /// The place of a type, 0 for the most general.
  public func rank(of type: String) throws(LocationError) -> Int {
    guard let rank = ranks[type] else { throw .unknownType(type, known: types) }
    return rank
  }

  /// Whether requests that are discovered by `discover` may go to servers found by `type`: never to more specific ones
  /// only.
  func mayServe(_ discover: String, by type: String) -> Bool {
    guard let wanted = ranks[discover], let offered = ranks[type] else { return false }
    return offered <= wanted
  }

  /// Less than zero when `one` is the more general type, 0 when the two are the same.
  public func compare(_ one: String, with other: String) throws(LocationError) -> Int {
    try rank(of: one) - rank(of: other)
  }

  /// The locations of type `target` that contain a location (a more general type), or that it contains (a more
  /// specific one), sorted; of the same type, the location itself. Several where there are several parents, none
  /// where no way leads there.
  public func convert(
    _ location: String, from source: String, to target: String
  ) throws(LocationError) -> [String] {
    let isUpwards = try compare(target, with: source) < 0
    let start = "\(location)_\(source)"
    guard children[start] != nil || parents[start] != nil else {
      throw .unknownLocation(location, type: source)
    }
    var reached: Set<String> = [start]
    var frontier = [start]
    while let node = frontier.popLast() {
      for next in (isUpwards ? parents[node] : children[node]) ?? [] where reached.insert(next).inserted {
        frontier.append(next)
      }
    }
    let suffix = "_\(target)"
    return reached.filter { $0.hasSuffix(suffix) }.map { String($0.dropLast(suffix.count)) }.sorted()
  }
}

/// Why a location cannot be found.
public enum LocationError: Error, Hashable, Sendable, CustomStringConvertible {
  /// A type of location that `location_types.json` does not have.
  case unknownType(String, known: [String])
  /// A location that `location_mapping.json` does not have, or that has nothing above or below it.
  case unknownLocation(String, type: String)
  /// A type of location that this host is in none of: there is no such file.
  case noLocation(type: String, path: String)
  /// The host's own location cannot be read, or is not in the mapping.
  case host(ConfigError)

  /// Whether the host's own data is at fault, not what a service asks for.
  public var isHosts: Bool { if case .host = self { true } else { false } }

  /// A sentence for the operator.
  public var description: String {
    switch self {
    case .unknownType(let type, let known):
      "'\(type)' is not a location type (\(known.joined(separator: ", ")))"
    case .unknownLocation(let location, let type):
      "location_mapping.json has no \(type) '\(location)' with anything above or below it"
    case .noLocation(let type, let path): "this host has no '\(type)': there is no \(path)"
    case .host(let error): error.description
    }
  }
}
