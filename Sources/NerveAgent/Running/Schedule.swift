/// When a service is checked: at once after its start, then at a moment of the interval that is its own.
///
/// The moment depends on nothing but the service's name, so it survives a reload and a restart, and the
/// checks of many services are spread over the interval instead of coming in one burst.
enum Schedule {
  /// So many services start in one go; the next ones follow ``startPause`` later.
  static let startBatch = 500
  /// Between two batches of first checks.
  static let startPause = Duration.milliseconds(100)

  /// How long the `index`-th of the services that start together waits for its first check.
  static func startDelay(index: Int) -> Duration { startPause * (index / startBatch) }

  /// Where in the interval `name` is checked: 0..<1, evenly spread, the same in every process.
  static func fraction(of name: String) -> Double {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325  // FNV-1a, then a finaliser: its low bits alone are weak
    for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    hash = (hash ^ (hash >> 33)) &* 0xff51_afd7_ed55_8ccd
    hash ^= hash >> 33
    return Double(hash >> 11) / Double(1 << 53)
  }

  /// The delay from `sinceEpoch` (time since a moment that all services share) until the first periodic
  /// check of `name`: between half an interval and one and a half, so that the check at the start is
  /// neither repeated at once nor followed by a long silence.
  static func firstTick(of name: String, every interval: Duration, sinceEpoch: Duration) -> Duration {
    let earliest = sinceEpoch + interval / 2
    let phase = interval * fraction(of: name)
    let rounds = ((earliest - phase) / interval).rounded(.up)
    return phase + interval * rounds - sinceEpoch
  }
}
