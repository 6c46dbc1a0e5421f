internal import SmartStack

/// What is wrong with a configuration file, and where: `nerve.yaml:3:11: services.web.port: 70000 is outside 1...65535`.
///
/// Warnings (unknown or repeated keys) are the same kind of sentence, only not thrown.
public struct ConfigError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The file as the operator named it.
  public let file: String
  /// From 1; 0 when the trouble is with the file as a whole (it cannot be read).
  public let line: Int
  /// From 1, counted in characters (Unicode scalars); 0 like ``line``.
  public let column: Int
  /// Keys from the top, joined by dots, list items as `[0]`; empty at the top.
  public let path: String
  /// The problem in one sentence.
  public let problem: String

  /// An error; see the properties.
  public init(file: String, line: Int = 0, column: Int = 0, path: String = "", problem: String) {
    self.file = file
    self.line = line
    self.column = column
    self.path = path
    self.problem = problem
  }

  /// An error behind these first bytes of the file.
  init(file: String, after bytes: some BidirectionalCollection<UInt8>, problem: String) {
    let newline = UInt8(ascii: "\n")
    let column = bytes.reversed().prefix { $0 != newline }.count { $0 & 0xC0 != 0x80 } + 1
    self.init(file: file, line: bytes.count { $0 == newline } + 1, column: column, problem: problem)
  }

  /// `file:line:column: path: problem`, without the parts that are not known; one line whatever the keys hold.
  public var description: String {
    let place = line > 0 ? "\(file):\(line):\(column)" : file
    return path.isEmpty ? "\(place): \(problem)" : "\(place): \(path.oneLine(limit: .max)): \(problem)"
  }
}
