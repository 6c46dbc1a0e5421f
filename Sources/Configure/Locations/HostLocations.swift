internal import SmartStack
internal import YAMLConfig

/// Where this host is: one text file per type of location, `/nail/etc/<type>` by custom.
public final class HostLocations {
  /// How locations contain each other.
  public let hierarchy: LocationHierarchy
  private let directory: String
  private let files: SourceFiles
  /// The first of the host's own files found missing or wrong by ``line(ofType:)``: then nothing may be written.
  private(set) var hostProblem: ConfigError?
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
  /// - Throws: `unknownType`; `noLocation` when there is no file; `host` when it cannot be read.
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
    guard let bytes else { throw .noLocation(type: type, path: path(of: type)) }
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

extension HostLocations {
  /// This host's location of a type in `location_types.json`, which must be one line.
  /// - Throws: `noLocation` when there is no file; `host` for one that is wrong, and ``hostProblem`` has it, too.
  func line(ofType type: String) throws(LocationError) -> String {
    var problem = "expected one line with the \(type) that this host is in"
    do throws(LocationError) {
      let location = try current(type)
      if !location.isEmpty, location.isOneLine { return location }
    } catch {
      guard case .host(let inner) = error else { throw error }
      problem = inner.problem
    }
    let error = ConfigError(file: path(of: type), problem: problem)
    if hostProblem == nil { hostProblem = error }
    throw .host(error)
  }

  /// This host's location of a type that a namespace is advertised in.
  /// - Throws: for a type that the host is in none of, where the namespace names it.
  func line(ofType type: String, in namespace: SmartStackNamespace) throws(ConfigError) -> String {
    do throws(LocationError) { return try line(ofType: type) } catch { throw namespace.error(at: type, error) }
  }

  /// This host's location of any grouping that has a file, as `chaos` names them.
  /// - Parameter node: where the grouping is named.
  func line(ofGrouping type: String, at node: YAMLNode) throws(ConfigError) -> String {
    if hierarchy.types.contains(type) {
      do throws(LocationError) { return try line(ofType: type) } catch {
        if case .host(let problem) = error { throw problem }
        throw node.error(error.description)
      }
    }
    guard let bytes = try files.bytes(path(of: type)) else {
      throw node.error(LocationError.noLocation(type: type, path: path(of: type)).description)
    }
    return String(decoding: bytes, as: UTF8.self).trimmedBlanks
  }

  /// What a namespace's `chaos` asks of this host; a later grouping's word counts over an earlier one's.
  func chaos(of namespace: SmartStackNamespace) throws(ConfigError) -> SmartStackNamespace.Chaos {
    var (fail, delay) = (SmartStackNamespace.Chaos?.none, SmartStackNamespace.Chaos?.none)
    for grouping in namespace.chaos {
      guard let member = grouping.members[try line(ofGrouping: grouping.grouping, at: grouping.node)] else { continue }
      (fail, delay) = (member.fail ?? fail, member.delay ?? delay)
    }
    switch fail {
    case .drop, .error503: return fail ?? .none
    case nil, .some(.none), .delay: return delay ?? .none
    }
  }
}

extension SmartStackNamespace {
  /// Why the namespace cannot be advertised in a type, at the place that names the type.
  func error(at type: String, _ problem: LocationError) -> ConfigError {
    if case .host(let error) = problem { return error }
    guard let advertiseNode else { return self.error(problem.description) }
    let item = (try? advertiseNode.items())?.first { (try? $0.string()) == type }
    return (item ?? advertiseNode).error(problem.description)
  }
}
