internal import SmartStack
internal import YAMLConfig

/// Where this host is, as services ask for it.
///
/// What a service asks wrongly is thrown as its own mistake. What the host's own files get wrong is kept in
/// ``hostProblem``, too: then nothing may be written at all.
final class LocationLookup {
  private let locations: HostLocations
  private let files: SourceFiles
  /// The first of the host's own files found missing or wrong.
  private(set) var hostProblem: ConfigError?
  /// How often this host's place was asked for.
  private(set) var questions = 0

  init(_ locations: HostLocations, files: SourceFiles) {
    self.locations = locations
    self.files = files
  }

  /// The types of `location_types.json`, most general first.
  var types: [String] { locations.hierarchy.types }

  /// Those of `names` that are location types, repetitions kept.
  func mostSpecificFirst(_ names: [String]) -> [String] {
    let ranked = names.compactMap { name in types.lastIndex(of: name).map { (rank: $0, name: name) } }
    // Sorting twice keeps equal ones in place whatever the sort does.
    return ranked.enumerated().sorted { ($1.element.rank, $0.offset) < ($0.element.rank, $1.offset) }.map(
      \.element.name)
  }

  /// Whether requests that are discovered by `discover` may go to servers found by `type`: never to more specific
  /// ones only.
  func mayServe(_ discover: String, by type: String) -> Bool {
    guard let wanted = types.lastIndex(of: discover), let offered = types.lastIndex(of: type) else { return false }
    return offered <= wanted
  }

  /// This host's location of a type in `location_types.json`.
  func location(ofType type: String) throws(ConfigError) -> String {
    questions += 1
    let location: String
    do throws(LocationError) {
      location = try locations.current(type)
    } catch {
      let problem = ConfigError(file: locations.path(of: type), problem: LocationLookup.words(error))
      if hostProblem == nil { hostProblem = problem }
      throw problem
    }
    if location.isEmpty || ProxyText.hasControl(location) {
      let problem = ConfigError(
        file: locations.path(of: type), problem: "expected one line with the \(type) that this host is in")
      if hostProblem == nil { hostProblem = problem }
      throw problem
    }
    return location
  }

  /// This host's location of any grouping that has a file, as `chaos` names them.
  /// - Parameter node: where the grouping is named.
  func location(ofType type: String, askedBy node: YAMLNode) throws(ConfigError) -> String {
    if types.contains(type) { return try location(ofType: type) }
    questions += 1
    guard !type.isEmpty, !type.hasPrefix("."), !type.contains("/"), !ProxyText.hasControl(type) else {
      throw node.error("'\(type)' is no location type")
    }
    let path = locations.path(of: type)
    guard let bytes = try files.bytes(path) else {
      throw node.error("this host has no '\(type)': there is no \(path)")
    }
    return String(decoding: bytes, as: UTF8.self).trimmedBlanks
  }

  private static func words(_ error: LocationError) -> String {
    if case .host(let inner) = error { inner.problem } else { error.description }
  }
}
