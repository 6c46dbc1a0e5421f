internal import SmartStack

/// When HAProxy may be reloaded next: pure, with `now` and the dice as values.
///
/// Reloads are at least `interval` apart, plus up to `jitter` of it, so that a fleet's health checks do not
/// start at one moment. After failures the distance also grows exponentially, up to five minutes.
struct ReloadSchedule: Sendable {
  private let interval: Duration
  private let jitter: Double
  private let retry: RetryPolicy
  private var notBefore: ContinuousClock.Instant?
  /// Failures since the last success.
  private(set) var failures = 0

  /// - Parameters:
  ///   - interval: `restart_interval`. Longer: fewer connections broken by old workers' ends, later new listeners.
  ///   - jitter: `restart_jitter`, a share of the interval.
  init(interval: Duration, jitter: Double) {
    self.interval = interval
    self.jitter = max(0, jitter)
    retry = RetryPolicy(base: max(.seconds(1), interval), limit: max(.seconds(300), interval))
  }

  /// How long to wait; zero: now is fine.
  func delay(now: ContinuousClock.Instant) -> Duration {
    guard let notBefore, notBefore > now else { return .zero }
    return notBefore - now
  }

  /// The program before this one has reloaded: the distance holds across programs.
  mutating func wait(_ delay: Duration, now: ContinuousClock.Instant) {
    notBefore = max(notBefore ?? now, now + min(delay, interval * (1 + jitter)))
  }

  /// A reload has begun.
  mutating func started(now: ContinuousClock.Instant, using generator: inout some RandomNumberGenerator) {
    let extra = jitter > 0 ? interval * Double.random(in: 0...jitter, using: &generator) : .zero
    notBefore = now + interval + extra
  }

  /// Records that the reload worked.
  mutating func succeeded() { failures = 0 }

  /// Records that the reload failed.
  mutating func failed(now: ContinuousClock.Instant, using generator: inout some RandomNumberGenerator) {
    let pause = retry.delay(attempt: failures, using: &generator)
    failures += 1
    notBefore = max(notBefore ?? now, now + pause)
  }
}
