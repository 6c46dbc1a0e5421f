internal import Reactor
internal import SmartStack

/// Verdict of one service: its checks, the operator and the rate limit together.
///
/// A downtime comes first: a drained service is down whatever its checks say, and `rise`, `fall` and the rate limit do
/// not apply to it. Otherwise one check that is down takes the service down, also while others are still to answer for
/// the first time; it is up when every check is. Without checks it is up.
struct ServiceVerdict: Sendable {
  /// What follows from the verdict as it is now.
  enum Decision: Equatable, Sendable {
    /// The verdict was reported before, or is not known yet.
    case nothing
    case report(Verdict, isFirst: Bool)
    /// It is over the rate limit. In shadow mode it is reported all the same; otherwise it waits for the next look.
    case overLimit(Verdict, isFirst: Bool, isShadow: Bool, isRepeated: Bool)
  }

  private(set) var reported: Verdict?
  /// Whether a downtime covers the service.
  var isDrained = false
  private var histories: [CheckHistory]
  private let limit: RateLimit?
  private var limiter: RateLimiter?
  private var isHeldBack = false

  /// - Parameter histories: one per check, in the order of the configuration.
  init(histories: [CheckHistory], limit: RateLimit? = nil, now: LoopClock.Instant) {
    self.histories = histories
    self.limit = limit
    guard let limit, limit.averageRate.isFinite else { return }
    // As upstream's, the bucket starts with one second's worth.
    limiter = RateLimiter(
      averageRate: limit.averageRate, maxBurst: limit.maxBurst, initialTokens: limit.averageRate, now: now)
  }

  /// The verdict now; nil as long as a check has not answered and none is down.
  var now: Verdict? {
    if isDrained { return .down }
    var isComplete = true
    for history in histories {
      switch history.verdict {
      case .down: return .down
      case .up: continue
      case nil: isComplete = false
      }
    }
    return isComplete ? .up : nil
  }

  /// Results that the checks have seen, in their order.
  var memories: [CheckHistory.Memory] {
    get { histories.map(\.memory) }
    set { for (index, memory) in newValue.enumerated() { histories[index].memory = memory } }
  }

  /// Records one result.
  /// - Returns: the check's own verdict if this result changed it.
  mutating func record(check index: Int, passed: Bool) -> Verdict? { histories[index].record(passed: passed) }

  /// Replaces the history of check `index` with an empty one: its next result counts at once.
  mutating func forget(check index: Int, rise: Int, fall: Int) {
    histories[index] = CheckHistory(rise: rise, fall: fall)
  }

  /// Decides whether the verdict is to be reported, and notes that it was.
  mutating func decide(at moment: LoopClock.Instant) -> Decision {
    guard let verdict = now, verdict != reported else { return .nothing }
    let isFirst = reported == nil
    // A downtime is not held back: the limit is there against flapping.
    if !isDrained, let limit, limiter?.consume(now: moment) == false {
      let isRepeated = isHeldBack
      isHeldBack = !limit.isShadow
      if limit.isShadow { reported = verdict }
      return .overLimit(verdict, isFirst: isFirst, isShadow: limit.isShadow, isRepeated: isRepeated)
    }
    if !isDrained { isHeldBack = false }
    reported = verdict
    return .report(verdict, isFirst: isFirst)
  }
}
