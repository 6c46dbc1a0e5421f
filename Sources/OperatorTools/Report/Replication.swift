/// How many servers of a service there are and should be, judged as PaaSTA does.
struct Replication: Hashable, Sendable {
  /// Servers that get requests.
  var available: Int
  /// Servers that there should be.
  var expected: Int

  /// 100 when nothing is expected; above it when there is more than expected.
  var percent: Double { expected == 0 ? 100 : Double(available) / Double(expected) * 100 }

  /// - Parameter threshold: percent; less is too few.
  func isUnder(_ threshold: Int) -> Bool { percent < Double(threshold) }

  /// - Parameters:
  ///   - critical: percent; less is critical. PaaSTA's `replication_threshold`.
  ///   - warning: percent; less is a warning; nil: there are none.
  func verdict(critical: Int, warning: Int?) -> ReplicationVerdict {
    if isUnder(critical) { return .critical }
    return warning.map(isUnder) == true ? .warning : .healthy
  }

  /// Whole percents, as both PaaSTA's report and its alert print them.
  var wholePercent: Int { Int(percent) }
}

/// How a location, or a whole service, is; the worse, the greater.
enum ReplicationVerdict: Int, Comparable, Sendable {
  case healthy, warning, critical

  static func < (one: ReplicationVerdict, other: ReplicationVerdict) -> Bool { one.rawValue < other.rawValue }

  var word: String {
    switch self {
    case .healthy: "Healthy"
    case .warning: "Warning"
    case .critical: "Critical"
    }
  }

  /// As monitoring has it.
  var alertWord: String { self == .healthy ? "OK" : word.uppercased() }

  var color: String {
    switch self {
    case .healthy: "\u{1b}[32m"
    case .warning: "\u{1b}[33m"
    case .critical: "\u{1b}[31m"
    }
  }
}
