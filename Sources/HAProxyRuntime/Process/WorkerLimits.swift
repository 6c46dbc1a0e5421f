/// How many processes that a reload has replaced may keep the connections they have, and for how long: pure.
public struct WorkerLimits: Hashable, Sendable {
  /// `max_old_workers`; nil: any number. Fewer: less memory and fewer checks of servers that are checked twice; more:
  /// long connections outlive more reloads.
  public var count: Int?
  /// `max_old_worker_age`; nil: any age.
  public var age: Duration?

  /// Upstream's reaper has ten, and an hour.
  public init(count: Int? = 10, age: Duration? = .seconds(3600)) {
    self.count = count
    self.age = age
  }

  /// Whether there is any limit.
  public var isActive: Bool { count != nil || age != nil }

  /// The limit that a process exceeds, `age` or `count`; nil: it may stay.
  /// - Parameters:
  ///   - index: the number of younger replaced ones.
  ///   - age: time since it was replaced.
  public func excess(index: Int, age: Duration) -> String? {
    if let limit = self.age, age >= limit { return "age" }
    if let count, index >= count { return "count" }
    return nil
  }
}
