public import Logging

// For callers that have not moved to `with:` yet.
extension Logger {
  /// Logs as ``info(_:with:)`` does, at `level`.
  public func log(_ level: Level, _ words: Message, _ values: KeyValuePairs<LogKey, any CustomStringConvertible>) {
    log(at: level, words, with: values)
  }

  /// Logs detail for a developer.
  public func debug(_ words: Message, _ values: KeyValuePairs<LogKey, any CustomStringConvertible>) {
    log(at: .debug, words, with: values)
  }

  /// Logs a normal event an operator may want to follow.
  public func info(_ words: Message, _ values: KeyValuePairs<LogKey, any CustomStringConvertible>) {
    log(at: .info, words, with: values)
  }

  /// Logs a change of state: one line per change.
  public func notice(_ words: Message, _ values: KeyValuePairs<LogKey, any CustomStringConvertible>) {
    log(at: .notice, words, with: values)
  }

  /// Logs what was wrong and was worked around.
  public func warning(_ words: Message, _ values: KeyValuePairs<LogKey, any CustomStringConvertible>) {
    log(at: .warning, words, with: values)
  }

  /// Logs what could not be done.
  public func error(_ words: Message, _ values: KeyValuePairs<LogKey, any CustomStringConvertible>) {
    log(at: .error, words, with: values)
  }
}
