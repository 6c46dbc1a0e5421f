public import YAMLConfig

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
