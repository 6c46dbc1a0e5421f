internal import HAProxyConfigGen
internal import Reactor

/// When HAProxy is asked again about what it refused: after a minute, then at growing intervals, and as soon as a file
/// that the refused lines name is another one.
struct RefusalRetry {
  private static let first: Duration = .seconds(60)
  /// The first time where a named file is there: it may have come between HAProxy's look and ours.
  private static let soon: Duration = .seconds(5)
  private static let longest: Duration = .seconds(1800)

  private var delay = RefusalRetry.first
  private var due: LoopClock.Instant?
  private var files: [String: FileState?] = [:]
  private var texts: Set<String> = []

  /// - Parameter refused: the texts that HAProxy refused, with its words.
  mutating func isDue(refused: Set<String>, now: LoopClock.Instant) -> Bool {
    guard !refused.isEmpty else {
      self = RefusalRetry()
      return false
    }
    if refused != texts {
      delay = RefusalRetry.first
      plan(refused, now: now)
      return false
    }
    return due.map { now >= $0 } ?? true || files != RefusalRetry.states(of: refused)
  }

  /// Records that HAProxy was asked again, and what it refuses now.
  mutating func recordAttempt(refused: Set<String>, now: LoopClock.Instant) {
    delay = refused == texts ? min(delay * 2, RefusalRetry.longest) : RefusalRetry.first
    plan(refused, now: now)
  }

  private mutating func plan(_ refused: Set<String>, now: LoopClock.Instant) {
    let isKnown = texts == refused
    (texts, files) = (refused, RefusalRetry.states(of: refused))
    let isThere = files.values.contains { if case .file = $0 { true } else { false } }
    due = now + (isThere && !isKnown ? RefusalRetry.soon : delay)
  }

  private static func states(of texts: Set<String>) -> [String: FileState?] {
    var states: [String: FileState?] = [:]
    for text in texts {
      for word in text.split(whereSeparator: { " \t,'\"`()".contains($0) }) where word.hasPrefix("/") && word.count > 1
      {
        states[String(word)] = .some(FileState(path: String(word)))
      }
    }
    return states
  }
}
