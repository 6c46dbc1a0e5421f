internal import Glibc
internal import HAProxyConfigGen

/// How many reloads a service may ask for: pure, with `now` as a value.
///
/// Every reload that a service's changes ask for counts, and counts less as time passes. A service that changes without
/// end is served late, and the connections of the others, which live in old workers, are left alone.
struct ReloadBudget: Sendable {
  /// This number of reloads come at once; after them, one in about ten minutes.
  static let burst = 5.0
  /// The time after which a reload counts half.
  static let halfLife: Duration = .seconds(1800)

  private var scores: [String: (score: Double, at: ContinuousClock.Instant)] = [:]
  /// The services that wait.
  private var postponed: Set<String> = []

  /// How long a reload for `service` alone has to wait; zero: now is fine, as it is for nobody's service.
  func delay(of service: String?, now: ContinuousClock.Instant) -> Duration {
    guard let service else { return .zero }
    let score = score(of: service, now: now)
    let limit = ReloadBudget.burst - 1
    return score <= limit ? .zero : ReloadBudget.halfLife * log2(score / limit)
  }

  /// Records a reload that these services asked for.
  mutating func charge(_ services: Set<String>, now: ContinuousClock.Instant) {
    for service in services { scores[service] = (score(of: service, now: now) + 1, now) }
    scores = scores.filter { score(of: $0.key, now: now) > 0.1 }
  }

  /// Lets reasons wait for which there is no budget.
  /// - Returns: the shortest wait, nil where none waits; and one reason of each service that begins to wait.
  mutating func postpone(
    _ reasons: [ReloadReason], now: ContinuousClock.Instant
  ) -> (wait: Duration?, news: [(reason: ReloadReason, delay: Duration)]) {
    var waiting: [String: (reason: ReloadReason, delay: Duration)] = [:]
    for reason in reasons {
      let delay = delay(of: reason.service, now: now)
      if let service = reason.service, delay > .zero { waiting[service] = (reason, delay) }
    }
    let news = waiting.filter { !postponed.contains($0.key) }.values.sorted { $0.reason < $1.reason }
    postponed = Set(waiting.keys)
    return (waiting.values.map(\.delay).min().map { $0 + .milliseconds(1) }, news)
  }

  private func score(of service: String, now: ContinuousClock.Instant) -> Double {
    guard let known = scores[service] else { return 0 }
    return known.score * exp2(-((now - known.at) / ReloadBudget.halfLife))
  }
}
