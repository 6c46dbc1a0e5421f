internal import Reactor
public import YAMLConfig

/// Reads the files that a configuration is made of, each once, and remembers which were asked for: these are the
/// ones to watch, whether they are there or not.
///
/// Blocks, as local files do; one run on one thread uses one reader. A file that changes during a run is seen in one
/// state only.
public final class SourceFiles {
  /// What anybody's soa-configs need is far below; a file of nothing but aliases stops here, before memory does.
  public static let limits = YAMLLimits(bytes: 8 << 20, depth: 100, nodes: 200_000)

  /// Every path asked for: files, and directories that were listed.
  public private(set) var paths: Set<String> = []
  private var documents: [String: Result<YAMLNode?, ConfigError>] = [:]

  /// A reader that has read nothing.
  public init() {}

  /// The bytes of a file; nil when it, or a directory on its path, is not there.
  /// - Throws: for one that is there and cannot be read.
  public func bytes(_ path: String) throws(ConfigError) -> [UInt8]? {
    paths.insert(path)
    do throws(FileError) {
      return try Files.read(path, limit: SourceFiles.limits.bytes)
    } catch {
      if error.isMissing { return nil }
      throw ConfigError(file: path, problem: "\(error.operation): \(error.reason)")
    }
  }

  /// The top value of a YAML or JSON file, null for an empty one; nil when the file is not there.
  /// - Throws: for one that cannot be read or parsed, every time it is asked for.
  public func document(_ path: String) throws(ConfigError) -> YAMLNode? {
    if let known = documents[path] { return try known.get() }
    let result = Result { () throws(ConfigError) -> YAMLNode? in
      guard let bytes = try bytes(path) else { return nil }
      return try YAMLDocument.parse(bytes, file: path, limits: SourceFiles.limits)
    }
    documents[path] = result
    return try result.get()
  }

  /// The same of a file that must be there.
  public func requiredDocument(_ path: String) throws(ConfigError) -> YAMLNode {
    guard let root = try document(path) else { throw ConfigError(file: path, problem: "there is no such file") }
    return root
  }

  /// The names in a directory, sorted; nil when it is not there.
  public func names(in directory: String) throws(ConfigError) -> [String]? {
    paths.insert(directory)
    do throws(FileError) {
      return try Files.list(directory)
    } catch {
      if error.isMissing { return nil }
      throw ConfigError(file: directory, problem: "\(error.operation): \(error.reason)")
    }
  }
}
