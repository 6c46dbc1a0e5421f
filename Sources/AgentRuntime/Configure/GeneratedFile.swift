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
  /// - Parameters:
  ///   - before: what ``current()`` gave.
  ///   - touches: whether the same bytes get a new date.
  ///   - sync: whether the change survives a power failure; takes as long as the disk does.
  public func update(
    _ bytes: [UInt8], before: [UInt8]?, touches: Bool = true, sync: Bool = true
  ) throws(FileError) -> Change {
    if GeneratedFile.areSame(before, bytes) {
      if touches { try Files.touch(path, mode: 0o644) }
      return .none
    }
    try announce()
    try AtomicFile.write(bytes, to: path, mode: 0o644, sync: sync)
    return before == nil ? .made : .replaced
  }

  /// Notes that the file is about to change: whatever happens now, the agent is told of it by some run.
  public func announce() throws(FileError) { try Files.touch(marker, mode: 0o644) }

  /// The lines that would change.
  /// - Parameter before: what ``current()`` gave.
  public func diff(_ bytes: [UInt8], before: [UInt8]?, inColor: Bool) -> String {
    TextDiff.unified(
      before.map { String(decoding: $0, as: UTF8.self) }, String(decoding: bytes, as: UTF8.self),
      names: (path, path + " (new)"), inColor: inColor)
  }

  /// `==` compares byte by byte: milliseconds for a file of megabytes.
  public static func areSame(_ before: [UInt8]?, _ bytes: [UInt8]) -> Bool {
    guard let before, before.count == bytes.count else { return false }
    return before.withUnsafeBytes { before in
      bytes.withUnsafeBytes { bytes in
        guard let first = before.baseAddress, let second = bytes.baseAddress else { return true }
        return memcmp(first, second, before.count) == 0
      }
    }
  }

  /// Whether the agent was not told of the last change yet.
  public var isPending: Bool { Files.exists(marker) }

  /// The agent was told.
  public func settle() throws(FileError) { try Files.remove(marker) }
}
