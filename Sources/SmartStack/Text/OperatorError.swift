/// A failure that nobody tells apart from another: it only carries a sentence for the operator.
public struct OperatorError: Error, Hashable, Sendable, CustomStringConvertible {
  /// A sentence without full stop, as it stands in a log or after a program's name.
  public let description: String

  /// Creates an error of this sentence.
  public init(_ message: String) { description = message }
}
