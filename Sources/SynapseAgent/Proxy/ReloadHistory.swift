/// One attempt to reload HAProxy.
struct ReloadRecord: Sendable {
  /// Seconds since 1970.
  var at: Double
  /// Why.
  var reason: String
  /// What went wrong; nil: nothing.
  var failure: String?
  var elapsed: Duration
}

/// The last attempts, oldest first.
struct ReloadHistory: Sendable {
  private static let limit = 50

  private(set) var records: [ReloadRecord] = []

  mutating func add(_ record: ReloadRecord) {
    records.append(record)
    if records.count > ReloadHistory.limit { records.removeFirst() }
  }
}
