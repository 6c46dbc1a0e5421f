internal import SmartStack

/// How soon a node that somebody deleted is made again: at once, but not over and over against somebody
/// who means it.
struct Patience: Sendable {
  /// A deletion so soon after the making is part of a fight.
  static let soon: Duration = .seconds(10)
  /// So many of them in a row are borne without a pause.
  static let freeLosses = 2
  private static let policy = RetryPolicy(base: .milliseconds(200), limit: .seconds(30))

  private var losses = 0
  private var madeAt: ContinuousClock.Instant?
  private var notBefore: ContinuousClock.Instant?

  /// The node is there.
  mutating func made(now: ContinuousClock.Instant) { madeAt = now }

  /// Somebody deleted it.
  mutating func lost(now: ContinuousClock.Instant) {
    let isSoon = madeAt.map { now - $0 < Patience.soon } ?? false
    losses = isSoon ? losses + 1 : 0
    let excess = losses - Patience.freeLosses
    notBefore = excess < 0 ? nil : now + Patience.policy.delay(attempt: excess)
  }

  /// How long the next making waits.
  func pause(now: ContinuousClock.Instant) -> Duration { notBefore.map { max(.zero, $0 - now) } ?? .zero }
}
