/// A token bucket: an average rate with bursts.
///
/// Takes `now` as a value so that it is pure; the caller says what time it is.
public struct RateLimiter: Sendable {
  private let rate: Double
  private let burst: Double
  private var tokens: Double
  private var last: ContinuousClock.Instant

  /// - Parameters:
  ///   - averageRate: tokens per second, not negative; infinity never limits.
  ///   - maxBurst: the bucket's size, at least 1; infinity never limits.
  ///   - initialTokens: what is in the bucket at first; nil fills it.
  public init(averageRate: Double, maxBurst: Double, initialTokens: Double? = nil, now: ContinuousClock.Instant) {
    rate = averageRate
    burst = max(1, maxBurst)
    tokens = min(burst, initialTokens ?? burst)
    last = now
  }

  /// Takes a token if there is one.
  public mutating func consume(now: ContinuousClock.Instant) -> Bool {
    let elapsed = (now - last) / .seconds(1)
    if elapsed > 0 {
      tokens = min(burst, tokens + elapsed * rate)
      last = now
    }
    guard tokens >= 1 else { return false }
    tokens -= 1
    return true
  }
}
