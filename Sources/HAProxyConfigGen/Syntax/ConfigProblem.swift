/// Something the generator worked around: a line, a server or a whole service that it skipped or doubts.
public struct ConfigProblem: Hashable, Sendable, CustomStringConvertible {
  /// What a problem costs.
  public enum Severity: Hashable, Sendable {
    /// Nothing so far; the line is written.
    case doubt
    /// One line or server is skipped.
    case skipped
    /// A whole service or section is skipped: bad data of its own, which `--check-config` refuses.
    case badService
  }

  /// What the problem costs.
  public var severity: Severity
  /// Where the text came from.
  public var origin: LineOrigin
  /// What is wrong with it, quoting the text in question.
  public var message: String

  /// A problem with the text that came from `origin`.
  public init(_ severity: Severity, at origin: LineOrigin, message: String) {
    self.severity = severity
    self.origin = origin
    self.message = message
  }

  /// One sentence, `services.web.haproxy.backend[2]: …`.
  public var description: String { "\(origin): \(message)" }
}
