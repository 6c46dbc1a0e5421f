/// When a service is checked: at once after its start, then at a moment of the interval that is its own.
///
/// The moment depends on the service's name, so it survives a reload and a restart, and the checks of many services
/// are spread over the interval instead of coming in one burst. A few checks share a moment: a process that wakes for
/// each one alone pays the kernel twice as much per check as one that makes two dozen at a time.
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

  /// So many checks share a moment, about; many more would hold up everything else the loop has to do.
  private static let group = 32
  /// Moments are no further apart than this.
  private static let longestGrain = Duration.milliseconds(100)

  /// The distance of the moments at which `count` services are checked that have this interval. One of a few nested
  /// values, so that services keep to common moments, and near their own one, when their number changes.
  static func grain(every interval: Duration, count: Int) -> Duration {
    let wanted = min(longestGrain, interval / 20, interval * group / max(1, count))
    var grain = longestGrain
    while grain > wanted, grain > .milliseconds(1) { grain /= 2 }
    return grain
  }

  /// The delay from `sinceEpoch` (time since a moment that all services share) until the first periodic
  /// check of `name`: between half an interval and one and a half, so that the check at the start is
  /// neither repeated at once nor followed by a long silence.
  /// - Parameter grain: all moments are multiples of it; see ``grain(every:count:)``.
  static func firstTick(
    of name: String, every interval: Duration, grain: Duration, sinceEpoch: Duration
  ) -> Duration {
    let earliest = sinceEpoch + interval / 2
    let phase = grain * Int((interval * fraction(of: name) / grain).rounded(.down))
    let rounds = Int(((earliest - phase) / interval).rounded(.up))
    return phase + interval * rounds - sinceEpoch
  }
}
