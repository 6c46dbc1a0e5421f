internal import Reactor

/// How often the watched paths of one client are read although no watch fired, and how many at one time.
///
/// A path waits, in this order, for: its own pause after the last read (``ReadPacing``), the spread after a reconnect
/// (``reconnectSpread()``), and its turn among all reads (``reads``). A look to be safe comes from ``wheel`` after
/// ``lookInterval(isWatched:watched:)``.
@LoopActor final class WatchCadence {
  let reads: ReadQueue
  let wheel: ReconcileWheel
  /// Number of watched paths; kept by the client.
  var pathCount = 0
  private let limits: ZooKeeperLimits

  init(limits: ZooKeeperLimits, clock: LoopClock) {
    self.limits = limits
    reads = ReadQueue(limit: limits.maximumReads)
    wheel = ReconcileWheel(clock: clock)
  }

  /// Delay of a path's next look to be safe: it grows with the number of paths, because looking costs the server and
  /// us. Both kinds together are at most forty looks a second.
  /// - Parameter watched: number of watches that the session has.
  func lookInterval(isWatched: Bool, watched: Int) -> Duration {
    let (least, count) =
      isWatched ? (limits.reconcileInterval, watched) : (limits.unwatchedInterval, pathCount - watched)
    return max(least, .milliseconds(50) * max(0, count))
  }

  /// Delay of the next attempt to read a path that the server has refused: less than five seconds, but for a host with
  /// more than a thousand paths.
  func refusalInterval() -> Duration {
    max(.seconds(4), .milliseconds(4) * pathCount) * Double.random(in: 0.5...1)
  }

  /// Delay of a look to be safe after a reconnect: ten milliseconds per path on average, so that a host with many does
  /// not read them all at one moment, nor a fleet with it.
  func reconnectSpread() -> Duration {
    min(.seconds(10), .milliseconds(10) * pathCount) * Double.random(in: 0...2)
  }
}
