internal import Glibc

/// The system's text for an error number.
func errorText(_ code: Int32) -> String { String(cString: strerror(code)) }

/// A file operation that the system refused.
public struct FileError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What was tried, as a verb: `open`, `rename`.
  public let operation: String
  /// The path that the call was for.
  public let path: String
  /// The system's error number; 0 when the reason is ours.
  public let code: Int32
  /// The system's text for it.
  public let reason: String

  /// An error with the system's own text.
  public init(_ operation: String, path: String, code: Int32) {
    self.init(operation, path: path, code: code, reason: errorText(code))
  }

  /// An error with a text of its own.
  public init(_ operation: String, path: String, code: Int32 = 0, reason: String) {
    self.operation = operation
    self.path = path
    self.code = code
    self.reason = reason
  }

  /// Whether the file or a directory on its path is not there.
  public var isMissing: Bool { code == ENOENT || code == ENOTDIR }

  /// Whether this host has run out of something, whatever the path.
  public var isShortage: Bool { isLocalShortage(code) || code == EAGAIN }

  /// `cannot open /a/b: No such file or directory`
  public var description: String { "cannot \(operation) \(path): \(reason)" }
}
