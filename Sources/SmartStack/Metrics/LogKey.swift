public import Logging

/// The only metadata keys the agents log, so that one query finds one thing in every line.
public enum LogKey: String, Sendable, CaseIterable {
  case service, check, verdict, reason, znode, command, elapsed
  case ensemble, session, state, path, count, port, host, attempt, delay, pid, signal, generation, scope, by, until
}

extension Logger {
  /// Logs fixed words and keyed values, never an interpolated sentence.
  public func log(at level: Level, _ words: Message, with values: KeyValuePairs<LogKey, any CustomStringConvertible>) {
    guard level >= logLevel else { return }
    var metadata: Metadata = [:]
    for (key, value) in values { metadata[key.rawValue] = .string(value.description) }
    log(level: level, words, metadata: metadata)
  }

  /// Detail for a developer.
  public func debug(_ words: Message, with values: KeyValuePairs<LogKey, any CustomStringConvertible>) {
    log(at: .debug, words, with: values)
  }

  /// A normal event an operator may want to follow.
  public func info(_ words: Message, with values: KeyValuePairs<LogKey, any CustomStringConvertible>) {
    log(at: .info, words, with: values)
  }

  /// A change of state: one line per change.
  public func notice(_ words: Message, with values: KeyValuePairs<LogKey, any CustomStringConvertible>) {
    log(at: .notice, words, with: values)
  }

  /// Something was wrong and was worked around; the agent goes on.
  public func warning(_ words: Message, with values: KeyValuePairs<LogKey, any CustomStringConvertible>) {
    log(at: .warning, words, with: values)
  }

  /// Something could not be done; the operator should look.
  public func error(_ words: Message, with values: KeyValuePairs<LogKey, any CustomStringConvertible>) {
    log(at: .error, words, with: values)
  }
}
