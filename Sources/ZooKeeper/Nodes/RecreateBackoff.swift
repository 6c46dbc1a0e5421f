internal import SmartStack

/// Delay before a node that another client deleted is made again: none at first, growing against a client that
/// deletes it over and over.
struct RecreateBackoff: Sendable {
  /// A deletion within this time after the making counts as one in a row.
  static let soon: Duration = .seconds(10)
  /// Number of deletions in a row that are answered without a pause.
  static let freeLosses = 2
  private static let policy = RetryPolicy(base: .milliseconds(200), limit: .seconds(30))

  /// Attempts that the server refused in a row.
  private(set) var refusals = 0
  private var losses = 0
  private var madeAt: ContinuousClock.Instant?
  private var notBefore: ContinuousClock.Instant?

  /// Notes that the server refused an attempt.
  /// - Returns: the delay before the next one.
  mutating func refused() -> Duration {
    defer { refusals += 1 }
    return RetryPolicy(base: .seconds(1), limit: .seconds(5)).delay(attempt: refusals)
  }

  /// Notes that the node is in sync.
  mutating func succeeded() { refusals = 0 }

  /// Notes that the node is there.
  mutating func made(now: ContinuousClock.Instant) { madeAt = now }

  /// Notes that another client deleted it.
  mutating func lost(now: ContinuousClock.Instant) {
    let isSoon = madeAt.map { now - $0 < RecreateBackoff.soon } ?? false
    losses = isSoon ? losses + 1 : 0
    let excess = losses - RecreateBackoff.freeLosses
    notBefore = excess < 0 ? nil : now + RecreateBackoff.policy.delay(attempt: excess)
  }

  /// The delay before the next creation.
  func pause(now: ContinuousClock.Instant) -> Duration { notBefore.map { max(.zero, $0 - now) } ?? .zero }
}
