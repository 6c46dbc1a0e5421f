/// How many processes that a reload has replaced may go on with the connections they have, and for how long: pure.
public struct WorkerLimits: Hashable, Sendable {
  /// `max_old_workers`; nil: any number. Fewer: less memory and fewer checks of servers that are checked twice; more:
  /// long connections outlive more reloads.
  public var count: Int?
  /// `max_old_worker_age`; nil: any age.
  public var age: Duration?

  /// The original reaper's: ten, and an hour.
  public init(count: Int? = 10, age: Duration? = .seconds(3600)) {
    self.count = count
    self.age = age
  }

  /// Whether there is any limit.
  var isActive: Bool { count != nil || age != nil }

  /// Why a process has to end; nil: it may stay.
  /// - Parameters:
  ///   - index: how many younger replaced ones there are.
  ///   - age: since it was replaced.
  public func verdict(index: Int, age: Duration) -> Excess? {
    if let limit = self.age, age >= limit { return .age }
    if let count, index >= count { return .count }
    return nil
  }

  /// What there is too much of.
  public enum Excess: String, Sendable {
    /// The time since it was replaced.
    case age
    /// The number of younger ones.
    case count
  }
}
