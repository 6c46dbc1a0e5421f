internal import Reactor

/// What tells one live check from another. Services that share a port share its checks, unless the service
/// is told its name.
struct CheckKey: Hashable {
  var `protocol`: CheckProtocol
  var host: String
  var port: Int
  /// Without the query string, as upstream.
  var path: String
  /// Empty unless `service_name_header` is set.
  var service: String
}

/// The answers of live checks, kept for a while, and the checks under way, one per key.
@LoopActor final class CheckCache {
  private let lifetime: Duration
  private let clock: LoopClock
  private var answers: LRUTable<CheckKey, (outcome: CheckOutcome, expiry: LoopClock.Instant)>
  private var flights: [CheckKey: [@LoopActor (CheckOutcome) -> Void]] = [:]

  /// Bytes of bodies and keys kept at most, in all.
  static let budget = 16 << 20

  /// The counters of `/status`, as upstream counts.
  private(set) var statistics = (expirations: 0, sets: 0, gets: 0, hits: 0, misses: 0)

  init(lifetime: Duration, capacity: Int, clock: LoopClock) {
    self.lifetime = lifetime
    self.clock = clock
    answers = LRUTable(capacity: capacity, budget: CheckCache.budget)
  }

  /// Bytes of the bodies and keys kept.
  var cost: Int { answers.cost }
  /// The number of cached answers.
  var count: Int { answers.count }
  /// Checks under way or waiting for a slot.
  var flightCount: Int { flights.count }

  /// The answer that is still good. Counts as one question; after nil goes ``join(_:then:start:)``.
  /// - Parameter bust: the asker wants a check that is made now; the answer kept is forgotten.
  func answer(_ key: CheckKey, bust: Bool) -> CheckOutcome? {
    statistics.gets += 1
    guard let kept = answers.use(key) else { return nil }
    if !bust, kept.expiry >= clock.now {
      statistics.hits += 1
      return kept.outcome
    }
    statistics.expirations += 1
    answers.remove(key)
    return nil
  }

  /// Waits for the check under way, or starts one: also for those who want no kept answer, because a check
  /// under way is none.
  func join(
    _ key: CheckKey, then: @escaping @LoopActor (CheckOutcome) -> Void,
    start: @escaping @LoopActor () async -> CheckOutcome
  ) {
    if flights[key] != nil {
      statistics.hits += 1
      flights[key]?.append(then)
      return
    }
    statistics.misses += 1
    statistics.sets += 1
    flights[key] = [then]
    // As upstream, the time runs from the start: an answer is never older than `cache_time`.
    let expiry = clock.now + lifetime
    Task.immediate { @LoopActor in
      let outcome = await start()
      land(outcome, for: key, expiry: expiry)
    }
  }

  private func land(_ outcome: CheckOutcome, for key: CheckKey, expiry: LoopClock.Instant) {
    if outcome.isConclusive, lifetime > .zero, expiry > clock.now {
      answers.set(
        key, to: (outcome, expiry),
        cost: outcome.body.count + key.path.utf8.count + key.service.utf8.count)
    }
    for waiter in flights.removeValue(forKey: key) ?? [] { waiter(outcome) }
  }

  /// Removes expired answers, also those that nobody asks for any more.
  func sweep() {
    let now = clock.now
    answers.removeAll { $0.expiry < now }
  }
}
