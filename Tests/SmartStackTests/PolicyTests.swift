import SmartStack
import TestSupport
import Testing

@Suite struct CheckHistoryTests {
  static let cases = [
    ("the first result counts at once", 3, 3, "+", "u"),
    ("the first failure, too", 3, 3, "-", "d"),
    ("a single failure is forgiven", 1, 2, "+-+-", "u..."),
    ("fall failures in a row bring it down", 1, 2, "+--", "u.d"),
    ("rise successes in a row bring it back", 2, 1, "-+-++", "d...u"),
    ("less than one counts as one", 0, -5, "+-+", "udu"),
  ]

  @Test(arguments: cases) func verdictsFollowRiseAndFall(
    _ name: String, _ rise: Int, _ fall: Int, _ results: String, _ verdicts: String
  ) {
    var history = CheckHistory(rise: rise, fall: fall)
    let seen = results.map { history.record(passed: $0 == "+").map { $0 == .up ? "u" : "d" } ?? "." }
    #expect(seen.joined() == verdicts, "\(name)")
  }

  /// The rule stated over the results themselves: up if the last `rise` all passed, down if the last `fall` all failed,
  /// where the first result counts as often as needed.
  @Test func theSameVerdictsAsLookingBackOverAllResults() {
    for rise in 1...4 {
      for fall in 1...4 {
        for bits in 0..<(1 << 10) {
          var history = CheckHistory(rise: rise, fall: fall)
          var results: [Bool] = []
          var verdict: Bool?
          for place in 0..<10 {
            let passed = bits >> place & 1 == 1
            if results.isEmpty { results = Array(repeating: passed, count: max(rise, fall)) }
            results.append(passed)
            let before = verdict
            if !results.suffix(fall).contains(true) { verdict = false }
            if !results.suffix(rise).contains(false) { verdict = true }
            let change = history.record(passed: passed)
            let expected: Verdict? = verdict == before ? nil : verdict == true ? .up : .down
            #expect(change == expected && (history.verdict == .up) == verdict)
          }
        }
      }
    }
  }
}

@Suite struct RateLimiterTests {
  let start = ContinuousClock.now

  @Test func aBurstPassesAndThenTheRateHolds() {
    var limiter = RateLimiter(averageRate: 2, maxBurst: 3, now: start)
    let milliseconds = [0, 0, 0, 0, 499, 500, 500, 3_600_000, 3_600_000, 3_600_000, 3_600_000]
    let taken = milliseconds.map { limiter.consume(now: start + .milliseconds($0)) ? "+" : "-" }.joined()
    #expect(taken == "+++--+-+++-")
  }

  @Test func aClockThatGoesBackGivesNothing() {
    var limiter = RateLimiter(averageRate: 1, maxBurst: 1, now: start)
    let taken = [0, -100, 0, 1].map { limiter.consume(now: start + .seconds($0)) }
    #expect(taken == [true, false, false, true])
  }

  @Test func infinityNeverLimits() {
    var limiter = RateLimiter(averageRate: .infinity, maxBurst: .infinity, now: start)
    let all = (0..<1000).map { _ in limiter.consume(now: start) }
    #expect(!all.contains(false))
    var rateOnly = RateLimiter(averageRate: .infinity, maxBurst: 1, now: start)
    let both = [rateOnly.consume(now: start + .nanoseconds(1)), rateOnly.consume(now: start + .nanoseconds(2))]
    #expect(both == [true, true])
  }

  @Test func overAnyWindowNoMoreThanBurstAndRate() {
    var generator = SeededGenerator(seed: 7)
    var limiter = RateLimiter(averageRate: 5, maxBurst: 10, now: start)
    var passed = 0
    var now = start
    for _ in 0..<10_000 {
      now += .microseconds(Int.random(in: 0...50_000, using: &generator))
      if limiter.consume(now: now) { passed += 1 }
    }
    #expect(Double(passed) <= 10 + 5 * ((now - start) / .seconds(1)))
    #expect(Double(passed) >= 5 * ((now - start) / .seconds(1)) - 1)
  }

  @Test func anEmptyBucketFillsFirst() {
    var limiter = RateLimiter(averageRate: 1, maxBurst: 5, initialTokens: 0, now: start)
    let taken = [0, 1].map { limiter.consume(now: start + .seconds($0)) }
    #expect(taken == [false, true])
  }
}

@Suite struct RetryPolicyTests {
  @Test func delaysDoubleUpToTheLimitWithJitter() {
    let policy = RetryPolicy(base: .milliseconds(100), limit: .seconds(5))
    var generator = SeededGenerator(seed: 3)
    for attempt in [-1, 0, 1, 2, 5, 6, 63, .max] {
      let ceiling = min(Duration.seconds(5), .milliseconds(100) * (1 << min(max(0, attempt), 20)))
      for _ in 0..<100 {
        let delay = policy.delay(attempt: attempt, using: &generator)
        #expect(delay >= ceiling * 0.5 && delay <= ceiling, "attempt \(attempt): \(delay)")
      }
    }
  }

  @Test func aFleetDoesNotComeBackAtOnce() {
    let policy = RetryPolicy(base: .seconds(1), limit: .seconds(60))
    #expect(Set((0..<50).map { _ in policy.delay(attempt: 3) }).count > 40)
  }
}
