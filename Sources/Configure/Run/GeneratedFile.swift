internal import AgentKit
internal import Glibc
public import Reactor

/// A configuration file that a tool writes for an agent.
///
/// Readers see the old file or the new one. A change that the agent was not yet told of is remembered beside the file,
/// so that a restart that failed is tried again by the next run.
public struct GeneratedFile: Sendable {
  /// What is in force, beside what is to be.
  public enum Standing: Sendable {
    /// There is no file.
    case missing
    case same
    case different
  }

  /// The path of the generated file.
  public let path: String
  private var marker: String { path + ".changed" }

  /// A file that need not exist.
  public init(path: String) { self.path = path }

  /// Compares what is in force with `bytes`.
  /// - Throws: when there is a file that cannot be read.
  public func standing(_ bytes: [UInt8]) throws(FileError) -> Standing {
    do throws(FileError) { return try Files.holds(path, exactly: bytes) ? .same : .different } catch {
      if error.code == ENOENT { return .missing }
      throw error
    }
  }

  /// Puts `bytes` into force, mode 0644.
  /// - Parameters:
  ///   - standing: what ``standing(_:)`` gave; the same bytes are not written again.
  ///   - touches: whether the same bytes get a new date, which monitoring looks at.
  ///   - sync: whether the change survives a power failure; takes as long as the disk does.
  public func update(
    with bytes: [UInt8], standing: Standing, touches: Bool = true, sync: Bool = true
  ) throws(FileError) {
    if standing == .same {
      if touches { try Files.touch(path, mode: 0o644) }
      return
    }
    try announce()
    try AtomicFile.write(bytes, to: path, mode: 0o644, sync: sync)
  }

  /// Notes that the file is about to change: whatever happens now, the agent is told of it by some run.
  public func announce() throws(FileError) { try Files.touch(marker, mode: 0o644) }

  /// The active file; nil when there is none, or it cannot be read.
  var current: [UInt8]? { try? Files.read(path, limit: 256 << 20) }

  /// The lines that would change; of a file that cannot be read, all.
  public func diff(_ bytes: [UInt8], inColor: Bool) -> String {
    let before = current
    return TextDiff.unified(
      from: before.map { String(decoding: $0, as: UTF8.self) }, to: String(decoding: bytes, as: UTF8.self),
      names: (path, path + " (new)"), inColor: inColor)
  }

  /// Whether the agent was not told of the last change yet.
  public var isPending: Bool { Files.exists(marker) }

  /// The agent was told.
  public func settle() throws(FileError) { try Files.remove(marker) }
}
