public import Logging
internal import Reactor

/// A logger whose lines a test can read: `LEVEL WORDS KEY=VALUE…`, the keys sorted.
public final class Journal: Sendable {
  private let all = Locked<[String]>([])
  private let level: Logger.Level

  /// - Parameter level: the least that is kept.
  public init(from level: Logger.Level = .debug) { self.level = level }

  /// Writes here.
  public var logger: Logger {
    Logger(label: "test") { [all, level] _ in JournalHandler(lines: all, logLevel: level) }
  }

  /// What was logged so far.
  public var lines: [String] { all.withLock { $0 } }
  /// The same as one text.
  public var text: String { lines.joined(separator: "\n") }

  /// Whether some line has the words.
  public func contains(_ words: String) -> Bool { lines.contains { $0.contains(words) } }
}

private struct JournalHandler: LogHandler {
  let lines: Locked<[String]>
  var metadata: Logger.Metadata = [:]
  var logLevel: Logger.Level

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let values = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    let line = ([event.level.rawValue, "\(event.message)"] + values).joined(separator: " ")
    lines.withLock { $0.append(line) }
  }
}
