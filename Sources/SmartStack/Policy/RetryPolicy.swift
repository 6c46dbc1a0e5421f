/// How long to wait before the next attempt: exponential, capped, with full jitter, so that a fleet
/// that lost its servers at one moment does not come back at one moment.
public struct RetryPolicy: Equatable, Sendable {
  /// The ceiling of the first delay.
  public var base: Duration
  /// No delay is longer.
  public var limit: Duration

  /// - Parameters:
  ///   - base: ceiling of the first delay; doubles with every further attempt.
  ///   - limit: ceiling of all delays.
  public init(base: Duration, limit: Duration) {
    self.base = base
    self.limit = limit
  }

  /// The delay before attempt `attempt` (0 is the first retry): between half of its ceiling and all of it.
  public func delay(attempt: Int, using generator: inout some RandomNumberGenerator) -> Duration {
    let ceiling = min(limit, base * (1 << min(max(0, attempt), 20)))
    return ceiling * Double.random(in: 0.5...1, using: &generator)
  }

  /// Returns a delay with the system's random numbers.
  public func delay(attempt: Int) -> Duration {
    var generator = SystemRandomNumberGenerator()
    return delay(attempt: attempt, using: &generator)
  }
}
