public import Reactor
public import YAMLConfig

/// Reads the files that a configuration is made of, each once, and remembers which were asked for: these are the
/// ones to watch, whether they are there or not.
///
/// Blocks, as local files do; one run on one thread uses one reader. A file that changes during a run is seen in one
/// state only.
public final class SourceFiles {
  /// What anybody's soa-configs need is far below; a file of nothing but aliases stops here, before memory does.
  public static let limits = YAMLLimits(bytes: 1 << 20, depth: 100, nodes: 20_000)

  /// Every path asked for: files, and directories that were listed.
  public private(set) var paths: Set<String> = []
  /// What each file asked for was when it was read; nil when that does not tell what will be read next: a file
  /// changed only just now, could not be read, or was no file.
  public private(set) var states: [String: FileState]? = [:]
  /// The documents read, as far as they can be known again.
  public private(set) var memory: [String: (stamp: FileStamp, document: YAMLDocument)] = [:]

  private var documents: [String: Result<YAMLDocument?, ConfigError>] = [:]
  private let known: [String: (stamp: FileStamp, document: YAMLDocument)]
  private let settling: Duration

  /// A reader that has read nothing.
  /// - Parameters:
  ///   - memory: another reader's; what did not change since is not read again.
  ///   - settling: see ``FileStamp/isSettled(for:)``.
  public init(
    memory: [String: (stamp: FileStamp, document: YAMLDocument)] = [:], settling: Duration = FileStamp.settling
  ) {
    known = memory
    self.settling = settling
  }

  /// The bytes of a file; nil when it, or a directory on its path, is not there.
  /// - Throws: for one that is there and cannot be read.
  public func bytes(_ path: String) throws(ConfigError) -> [UInt8]? { try read(path).bytes }

  private func read(_ path: String) throws(ConfigError) -> (bytes: [UInt8]?, stamp: FileStamp?) {
    paths.insert(path)
    do throws(FileError) {
      let (bytes, stamp) = try Files.readWithStamp(path, limit: SourceFiles.limits.bytes)
      let settled = stamp.flatMap { $0.isSettled(for: settling) ? $0 : nil }
      note(settled.map(FileState.file), of: path)
      return (bytes, settled)
    } catch {
      note(error.isMissing ? .missing : nil, of: path)
      if error.isMissing { return (nil, nil) }
      throw ConfigError(file: path, problem: "\(error.operation): \(error.reason)")
    }
  }

  private func note(_ state: FileState?, of path: String) {
    if let state { states?[path] = state } else { states = nil }
  }

  /// The top value of a YAML or JSON file, null for an empty one; nil when the file is not there.
  /// - Throws: for one that cannot be read or parsed, every time it is asked for.
  public func document(_ path: String) throws(ConfigError) -> YAMLNode? { try wholeDocument(path)?.root }

  /// A YAML or JSON file with what is odd about it; nil when the file is not there.
  /// - Throws: as ``document(_:)`` does.
  func wholeDocument(_ path: String) throws(ConfigError) -> YAMLDocument? {
    if let read = documents[path] { return try read.get() }
    let result = Result { () throws(ConfigError) -> YAMLDocument? in try readDocument(path) }
    documents[path] = result
    return try result.get()
  }

  private func readDocument(_ path: String) throws(ConfigError) -> YAMLDocument? {
    if let before = known[path], FileStamp(path: path) == before.stamp {
      paths.insert(path)
      note(.file(before.stamp), of: path)
      memory[path] = before
      return before.document
    }
    let (bytes, stamp) = try read(path)
    guard let bytes else { return nil }
    let document = try YAMLDocument(bytes, file: path, limits: SourceFiles.limits)
    // As upstream's reader: what stands behind a stray `---` would be lost.
    if let extra = document.extraDocument { throw extra }
    if let stamp { memory[path] = (stamp, document) }
    return document
  }

  /// Returns the document of a file that must exist.
  public func requiredDocument(_ path: String) throws(ConfigError) -> YAMLNode {
    guard let root = try document(path) else { throw ConfigError(file: path, problem: "there is no such file") }
    return root
  }

  /// The servers of a ZooKeeper topology file, a YAML list of `[host, port]`, as `host:port` in the file's order; further
  /// items of an entry do not count.
  /// - Throws: when the file is missing, empty or wrong, at its line. A port must be a number, as upstream's tools
  ///   have it.
  public func zooKeeperServers(_ path: String) throws(ConfigError) -> [String] {
    var servers: [String] = []
    for entry in try requiredDocument(path).items() {
      let parts = try entry.items()
      guard parts.count >= 2 else { throw entry.error("expected [host, port], found \(parts.count) items") }
      guard case .scalar(let port) = parts[1].value, port.kind == .int else {
        throw parts[1].error("expected a port number, found \(parts[1].summary)")
      }
      servers.append("\(try parts[0].string()):\(try parts[1].int(in: 1...65_535))")
    }
    return servers
  }

  /// The names in a directory, sorted; nil when it is not there.
  public func names(in directory: String) throws(ConfigError) -> [String]? {
    paths.insert(directory)
    states = nil
    do throws(FileError) {
      return try Files.list(directory)
    } catch {
      if error.isMissing { return nil }
      throw ConfigError(file: directory, problem: "\(error.operation): \(error.reason)")
    }
  }
}
