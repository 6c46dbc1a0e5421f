internal import Glibc
public import Logging
internal import Reactor
public import SmartStack

/// How a log line is written.
public enum LogFormat: String, Sendable, CaseIterable {
  /// `2026-11-21T02:11:00.123Z notice nerve: service is up service=web check=http`
  case text
  /// One JSON object per line, with the keys `time`, `level`, `agent`, `message` and the metadata's.
  case json
}

/// The agents' log: one line per event, to standard error, in one write. A reader that stalls costs lines, never time.
public enum AgentLog {
  /// Sends every `Logger` of the process here; call it once, before the first logger is made.
  public static func bootstrap(agent: String, format: LogFormat, level: Logger.Level) {
    let output = LogOutput(descriptor: STDERR_FILENO)
    let isForJournal = isJournal(STDERR_FILENO, environment: ProcessEnvironment.current)
    LoggingSystem.bootstrap { _ in
      var handler = LineLogHandler(agent: agent, format: format, level: level) { line in
        output.write(line) {
          LineLogHandler.dropped($0, agent: agent, format: format, isForJournal: isForJournal)
        }
      }
      handler.isForJournal = isForJournal
      return handler
    }
  }

  private static let keptEvents = 50
  private static let events = Locked<[JSONValue]>([])

  /// The last lines of level `notice` and above, oldest first, for the page: `time` in seconds since 1970, `agent`, `level`,
  /// `message`, and `details`, a text of `key=value`.
  public static var recent: [JSONValue] { events.withLock { $0 } }

  fileprivate static func remember(_ event: JSONValue) {
    events.withLock { events in
      if events.count == keptEvents { events.removeFirst() }
      events.append(event)
    }
  }

  /// Whether systemd's journal reads a descriptor: `JOURNAL_STREAM` names its device and inode.
  static func isJournal(_ descriptor: Int32, environment: [String: String]) -> Bool {
    var status = stat()
    return fstat(descriptor, &status) == 0 && environment["JOURNAL_STREAM"] == "\(status.st_dev):\(status.st_ino)"
  }

  /// A complaint of a command, for its standard error: in the journal it is an error.
  public static func complaint(_ text: String) -> String {
    isJournal(STDERR_FILENO, environment: ProcessEnvironment.current) ? "<3>" + text : text
  }
}

/// Writes lines through a function, so that tests can read them.
struct LineLogHandler: LogHandler {
  let agent: String
  let format: LogFormat
  var logLevel: Logger.Level
  var metadata: Logger.Metadata = [:]
  let output: @Sendable ([UInt8]) -> Void
  /// Whether the journal reads the lines: it is told their priority (sd-daemon(3)), and has the time itself.
  var isForJournal = false
  var now: @Sendable () -> timespec = {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return time
  }

  init(agent: String, format: LogFormat, level: Logger.Level, output: @escaping @Sendable ([UInt8]) -> Void) {
    self.agent = agent
    self.format = format
    logLevel = level
    self.output = output
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let values = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }.map {
      ($0.key, "\($0.value)")
    }
    output(line(event.level, message: "\(event.message)", values: values))
    if event.level >= .notice { remember(event, values: values) }
  }

  private func remember(_ event: LogEvent, values: [(key: String, value: String)]) {
    let time = now()
    let details = values.map { " \($0.key)=\($0.value.asLogValue)" }.joined().dropFirst()
    AgentLog.remember([
      "time": .double(Double(time.tv_sec) + Double(time.tv_nsec / 1_000_000) / 1000), "agent": .string(agent),
      "level": .string(event.level.rawValue), "message": "\(event.message)",
      "details": .string(String(details).oneLine(limit: 400)),
    ])
  }

  private func line(_ level: Logger.Level, message: String, values: [(key: String, value: String)]) -> [UInt8] {
    let time = LineLogHandler.iso8601(now())
    var line: String
    switch format {
    case .text:
      line = isForJournal ? "\(level) \(agent): " : "\(time) \(level) \(agent): "
      line += message.asLogMessage
      for (key, value) in values { line += " \(key)=\(value.asLogValue)" }
    case .json:
      line = "{\"time\":\"\(time)\",\"level\":\"\(level)\",\"agent\":\(agent.asLogJSON)"
      line += ",\"message\":\(message.asLogJSON)"
      for (key, value) in values { line += ",\(key.asLogJSON):\(value.asLogJSON)" }
      line += "}"
    }
    return Array(((isForJournal ? "<\(level.journalPriority)>" : "") + line + "\n").utf8)
  }

  /// The line that says how many were lost before it.
  static func dropped(_ count: Int, agent: String, format: LogFormat, isForJournal: Bool = false) -> [UInt8] {
    var handler = LineLogHandler(agent: agent, format: format, level: .warning) { _ in }
    handler.isForJournal = isForJournal
    return handler.line(
      .warning, message: "log lines were dropped: the reader did not keep up", values: [("count", "\(count)")])
  }

  private static func iso8601(_ time: timespec) -> String {
    let second = Double(time.tv_sec).date("%Y-%m-%dT%H:%M:%S") ?? ""
    return "\(second).\(String(1000 + time.tv_nsec / 1_000_000).dropFirst())Z"
  }
}

extension Logger.Level {
  /// The number of this level in syslog's scale.
  fileprivate var journalPriority: Int {
    switch self {
    case .trace, .debug: 7
    case .info: 6
    case .notice: 5
    case .warning: 4
    case .error: 3
    case .critical: 2
    }
  }
}

/// Keeps what strangers wrote (znodes, headers, files) from forging or breaking a line.
extension String {
  /// The text as a value behind `key=`: bare if it is one plain word, else quoted.
  fileprivate var asLogValue: String {
    let isPlain = !isEmpty && utf8.allSatisfy { $0 > 0x20 && $0 != 0x22 && $0 != 0x5C && $0 != 0x7F }
    return isPlain && !unicodeScalars.contains(where: \.breaksLine) ? self : asLogJSON
  }

  /// The text with control characters made visible.
  fileprivate var asLogMessage: String {
    unicodeScalars.contains(where: \.breaksLine) ? String(asLogJSON.dropFirst().dropLast()) : self
  }

  /// The text as a JSON string in which every character that breaks a line is escaped.
  fileprivate var asLogJSON: String {
    let escaped = escaping { scalar in
      switch scalar {
      case "\"": "\\\""
      case "\\": "\\\\"
      case "\n": "\\n"
      case "\t": "\\t"
      default: scalar.breaksLine ? "\\u\(String(scalar.value + 0x10000, radix: 16).dropFirst())" : nil
      }
    }
    return "\"" + escaped + "\""
  }
}
