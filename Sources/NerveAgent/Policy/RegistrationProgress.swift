import Reactor

/// Tells a nerve whose registrations have come to a halt although their registry answers, from one that has to wait.
struct RegistrationProgress: Sendable {
  /// How long there may be none: longer than any pause between two attempts.
  private static let limit = Duration.seconds(90)

  /// The number of answers when one came last, or nothing waited, and when that was.
  private var last: (answers: Int, at: LoopClock.Instant)

  init(now: LoopClock.Instant) { last = (0, now) }

  /// - Parameters:
  ///   - waiting: number of registrations that wait for an answer.
  ///   - answers: number of answers so far, good or bad.
  /// - Returns: a sentence when nothing moves.
  mutating func stall(waiting: Int, answers: Int, now: LoopClock.Instant) -> String? {
    if waiting == 0 || answers != last.answers { last = (answers, now) }
    let elapsed = now - last.at
    guard elapsed > RegistrationProgress.limit else { return nil }
    return "\(waiting) registrations have waited \(elapsed.components.seconds) s for a registry that is connected"
  }
}
