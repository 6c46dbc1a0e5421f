/// When a directory that has just changed may be read again, so that a burst of changes costs few reads.
///
/// The first change after a quiet moment is read at once. After a read there is a pause that grows with
/// the list's length (a long list is dear to read and each change in it matters less), and a directory
/// that is read all the time gets a longer one. A watch fires once per read, so a pause is all it takes
/// to make many changes one read.
struct ReadPacing: Sendable {
  /// Pause per name in the list.
  static let pausePerName: Duration = .microseconds(100)
  /// No pause of the first kind is longer.
  static let longestPause: Duration = .milliseconds(250)
  /// So many reads in a row are free …
  static let freeReads = 250.0
  /// … then so many per second.
  static let sustainedRate = 5.0

  private var credit: Double = ReadPacing.freeReads
  private var creditAt: ContinuousClock.Instant
  private var nextRead: ContinuousClock.Instant

  init(now: ContinuousClock.Instant) {
    creditAt = now
    nextRead = now
  }

  /// Notes a finished read of `size` names.
  mutating func didRead(size: Int, now: ContinuousClock.Instant) {
    let earned = (now - creditAt) / .seconds(1) * ReadPacing.sustainedRate
    credit = min(ReadPacing.freeReads, credit + earned) - 1
    creditAt = now
    let forLength = min(ReadPacing.longestPause, ReadPacing.pausePerName * size)
    let forDebt: Duration = .seconds(max(0, -credit) / ReadPacing.sustainedRate)
    nextRead = now + max(forLength, forDebt)
  }

  /// How long a change seen `now` waits.
  func delay(now: ContinuousClock.Instant) -> Duration { max(.zero, nextRead - now) }
}
