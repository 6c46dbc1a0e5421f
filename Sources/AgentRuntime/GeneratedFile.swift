internal import Glibc
public import Reactor

/// A configuration file that a tool writes for an agent.
///
/// Readers see the old file or the new one. A change that the agent was not yet told of is remembered beside the file,
/// so that a restart that failed is tried again by the next run.
public struct GeneratedFile: Sendable {
  /// What an update did.
  public enum Change: Sendable {
    /// The bytes were the same; only the file's age is new, which monitoring looks at.
    case none
    case replaced
    /// There was no file before.
    case made
  }

  /// The file's path.
  public let path: String
  private var marker: String { path + ".changed" }

  /// A file that need not exist.
  public init(path: String) { self.path = path }

  /// What is in force; nil without a file.
  /// - Throws: when there is one that cannot be read.
  public func current() throws(FileError) -> [UInt8]? {
    do throws(FileError) { return try Files.read(path, limit: 256 << 20) } catch {
      if error.code == ENOENT { return nil }
      throw error
    }
  }

  /// Puts `bytes` into force, mode 0644.
  /// - Parameter before: what ``current()`` gave.
  public func update(_ bytes: [UInt8], before: [UInt8]?) throws(FileError) -> Change {
    if let before, before == bytes {
      try Files.touch(path, mode: 0o644)
      return .none
    }
    try Files.touch(marker, mode: 0o644)
    try AtomicFile.write(bytes, to: path, mode: 0o644, sync: true)
    return before == nil ? .made : .replaced
  }

  /// Whether the agent was not told of the last change yet.
  public var isPending: Bool { Files.exists(marker) }

  /// The agent was told.
  public func settle() throws(FileError) { try Files.remove(marker) }
}
