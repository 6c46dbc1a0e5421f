internal import SmartStack
internal import YAMLConfig

/// Where this host is: one text file per type of location, `/nail/etc/<type>` by custom.
public final class HostLocations {
  /// How locations contain each other.
  public let hierarchy: LocationHierarchy
  private let directory: String
  private let files: SourceFiles
  private var known: [String: Result<String, LocationError>] = [:]
  private var converted: [String: [String]] = [:]

  /// - Parameter directory: where the files are.
  public init(hierarchy: LocationHierarchy, directory: String, files: SourceFiles) {
    self.hierarchy = hierarchy
    self.directory = directory
    self.files = files
  }

  /// Where the file of a type is.
  public func path(of type: String) -> String { "\(directory)/\(type)" }

  /// The host's own location: the file's text without the blanks and line breaks around it. An empty file gives
  /// an empty text.
  /// - Throws: `unknownType`, or `host` when the file is missing or cannot be read.
  public func current(_ type: String) throws(LocationError) -> String {
    if let location = known[type] { return try location.get() }
    let result = Result { () throws(LocationError) in try read(type) }
    known[type] = result
    return try result.get()
  }

  private func read(_ type: String) throws(LocationError) -> String {
    _ = try hierarchy.rank(of: type)
    let bytes: [UInt8]?
    do throws(ConfigError) {
      bytes = try files.bytes(path(of: type))
    } catch {
      throw .host(error)
    }
    guard let bytes else {
      throw .host(
        ConfigError(file: path(of: type), problem: "there is no such file; it must hold the \(type) this host is in"))
    }
    return String(decoding: bytes, as: UTF8.self).trimmedBlanks
  }

  /// ``LocationHierarchy/convert(_:from:to:)`` of the host's own location; if the mapping does not have it, that is
  /// the host's fault.
  public func convertCurrent(_ source: String, to target: String) throws(LocationError) -> [String] {
    let key = "\(source)/\(target)"
    if let known = converted[key] { return known }
    let location = try current(source)
    do throws(LocationError) {
      let found = try hierarchy.convert(location, from: source, to: target)
      converted[key] = found
      return found
    } catch .unknownLocation {
      let problem = "location_mapping.json has no \(source) '\(location)' with anything above or below it"
      throw .host(ConfigError(file: path(of: source), problem: problem))
    }
  }
}
