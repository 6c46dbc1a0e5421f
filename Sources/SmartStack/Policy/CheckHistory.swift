/// Whether a service may be offered to clients.
public enum Verdict: String, Sendable, CustomStringConvertible {
  case up, down

  /// The verdict's word, as in log lines.
  public var description: String { rawValue }
}

/// The outcome of one probe.
public struct CheckResult: Equatable, Sendable {
  /// Whether the target is healthy.
  public var passed: Bool
  /// What was seen, in words for the log: `HTTP 200`, `connection refused`.
  public var detail: String
  /// From start to answer.
  public var elapsed: Duration

  /// A result; see the properties.
  public init(passed: Bool, detail: String, elapsed: Duration) {
    self.passed = passed
    self.detail = detail
    self.elapsed = elapsed
  }
}

/// Turns single check results into the verdict that nerve reports.
///
/// A service goes up after `rise` consecutive successes and down after `fall` consecutive failures;
/// between the two the last verdict stands. The first result ever is taken at face value, so that a
/// freshly started agent does not withhold a healthy service.
///
/// - Complexity: O(1) time and space, whatever `rise` and `fall` are.
public struct CheckHistory: Equatable, Sendable {
  private let rise: Int
  private let fall: Int
  /// What the results so far come to: all of a history that is not configuration.
  public struct Memory: Equatable, Sendable {
    /// Equal results in a row.
    public var run = 0
    /// The last result; nil before the first.
    public var lastPassed: Bool?
    /// The verdict so far; nil before the first result.
    public var verdict: Verdict?

    /// Creates a history without results.
    public init() {}
  }

  /// What has been seen so far; may be set to what another history has seen.
  public var memory = Memory()

  /// The verdict so far; nil before the first result.
  public var verdict: Verdict? { memory.verdict }

  /// - Parameters:
  ///   - rise: consecutive successes before a down service is up again; less than 1 counts as 1.
  ///   - fall: consecutive failures before an up service is down; less than 1 counts as 1.
  public init(rise: Int = 1, fall: Int = 1) {
    self.rise = max(1, rise)
    self.fall = max(1, fall)
  }

  /// Takes one result.
  /// - Returns: the verdict if this result changed it, else nil.
  public mutating func record(passed: Bool) -> Verdict? {
    memory.run = passed == memory.lastPassed ? memory.run + 1 : 1
    memory.lastPassed = passed
    let next: Verdict = passed ? .up : .down
    guard verdict != next, verdict == nil || memory.run >= (passed ? rise : fall) else { return nil }
    memory.verdict = next
    return next
  }
}
