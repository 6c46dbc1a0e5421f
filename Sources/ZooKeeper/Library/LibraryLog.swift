internal import CZooKeeper
internal import Logging
internal import Reactor
internal import SmartStack

/// Where libzookeeper's log goes. The library has one log level per process and gives its callback no
/// context, so this is one per process too: the logger of the client that was opened last.
///
/// libzookeeper repeats itself several times a second during an outage, which the client's own lines
/// (`connection lost`, `connected`) already report once. So its errors and warnings appear as warnings
/// and notes once a minute per place in its source, and everything else only at debug.
@LoopActor enum LibraryLog {
  /// One line: its level (`ZOO_ERROR`, `ZOO_WARN`, `ZOO_INFO` or `ZOO_DEBUG`), the C function that speaks, and the text.
  typealias Line = (level: String, function: String, text: String)

  private static let quietTime: Duration = .seconds(60)
  private static var logger: Logger?
  private static var lastSaid: [String: LoopClock.Instant] = [:]

  static func use(_ logger: Logger) {
    self.logger = logger
    zoo_set_debug_level(logger.logLevel <= .debug ? ZOO_LOG_LEVEL_INFO : ZOO_LOG_LEVEL_WARN)
  }

  /// Reads `2026-11-21 02:11:00,123:77(0x7f…):ZOO_WARN@zookeeper_interest@2545: Delaying …`.
  nonisolated static func parse(_ line: String) -> Line? {
    let parts = line.split(separator: "@", maxSplits: 2)
    guard parts.count == 3, let level = parts[0].split(separator: ":").last, let colon = parts[2].firstIndex(of: ":")
    else { return nil }
    var text = parts[2][parts[2].index(after: colon)...].drop { $0 == " " }
    while let last = text.last, last.isNewline { text.removeLast() }
    return (String(level), String(parts[1]), String(text))
  }

  static func write(_ line: Line) {
    let now = LoopClock.system.now
    let place = line.level + line.function
    let isRepeated = lastSaid[place].map { now - $0 < quietTime } ?? false
    if !isRepeated { lastSaid[place] = now }
    logger?.log(at: level(of: line, isRepeated: isRepeated), "libzookeeper", with: [.reason: line.text])
  }

  static func level(of line: Line, isRepeated: Bool) -> Logger.Level {
    switch line.level {
    case "ZOO_ERROR" where !isRepeated: .warning
    case "ZOO_WARN" where !isRepeated: .info
    case "ZOO_DEBUG": .trace
    default: .debug
    }
  }
}
