/// When a directory that has just changed may be read again, so that a burst of changes costs few reads.
///
/// The first change after a quiet moment is read at once. After a read there is a pause that grows with
/// the list's length, because a long list is dear to read and each change in it matters less. What a
/// read costs is also taken from a credit that comes back slowly, so that a large directory that never
/// rests is read a few times a second; a small one hardly notices. A watch fires once per read, so a
/// pause is all it takes to make many changes one read.
struct ReadPacing: Sendable {
  static let pausePerName: Duration = .microseconds(100)
  /// No pause of the first kind is longer.
  static let longestPause: Duration = .milliseconds(250)
  /// So many names are one unit of cost; a read costs at least one.
  static let namesPerUnit = 10.0
  /// Units that may be spent at once …
  static let freeUnits = 5000.0
  /// … and so many come back per second: a directory of a thousand names is then read five times a second.
  static let unitsPerSecond = 500.0
  /// No pause of the second kind is longer.
  static let longestDebt: Duration = .seconds(1)

  private var credit: Double = ReadPacing.freeUnits
  private var creditAt: ContinuousClock.Instant
  private var nextRead: ContinuousClock.Instant

  init(now: ContinuousClock.Instant) {
    creditAt = now
    nextRead = now
  }

  /// Notes a finished read of `size` names.
  mutating func didRead(size: Int, now: ContinuousClock.Instant) {
    let earned = (now - creditAt) / .seconds(1) * ReadPacing.unitsPerSecond
    credit = min(ReadPacing.freeUnits, credit + earned) - max(1, Double(size) / ReadPacing.namesPerUnit)
    creditAt = now
    let forLength = min(ReadPacing.longestPause, ReadPacing.pausePerName * size)
    let forDebt = min(ReadPacing.longestDebt, .seconds(max(0, -credit) / ReadPacing.unitsPerSecond))
    nextRead = now + max(forLength, forDebt)
  }

  /// How long a change seen `now` waits.
  func delay(now: ContinuousClock.Instant) -> Duration { max(.zero, nextRead - now) }
}
