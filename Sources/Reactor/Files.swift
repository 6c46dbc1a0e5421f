internal import Glibc

/// A file operation that the system refused.
public struct FileError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What was tried, as a verb: `open`, `rename`.
  public let operation: String
  /// On which path.
  public let path: String
  /// The system's error number; 0 when the reason is ours.
  public let code: Int32
  /// The system's text for it.
  public let reason: String

  /// An error with the system's own text.
  public init(_ operation: String, _ path: String, code: Int32) {
    self.init(operation, path, code: code, reason: String(cString: strerror(code)))
  }

  /// An error with a text of its own.
  public init(_ operation: String, _ path: String, code: Int32 = 0, reason: String) {
    self.operation = operation
    self.path = path
    self.code = code
    self.reason = reason
  }

  /// Whether the file or a directory on its path is not there.
  public var isMissing: Bool { code == ENOENT || code == ENOTDIR }

  /// `cannot open /a/b: No such file or directory`
  public var description: String { "cannot \(operation) \(path): \(reason)" }
}

public enum AtomicFile {
  public static func write(_ bytes: [UInt8], to path: String, mode: UInt32, sync: Bool) throws(FileError) {}
}

public enum Files {
  public static func read(_ path: String, limit: Int) throws(FileError) -> [UInt8] { [] }
  public static func list(_ directory: String) throws(FileError) -> [String] { [] }
  public static func exists(_ path: String) -> Bool { false }
  public static func remove(_ path: String) throws(FileError) -> Bool { false }
  public static func makeDirectory(_ path: String, mode: UInt32) throws(FileError) {}
}
