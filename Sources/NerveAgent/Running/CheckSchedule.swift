internal import Reactor
internal import SmartStack

/// Moments at which services are checked: at once after its start, then at a moment of the interval that is its own.
///
/// The moment depends on the service's name, so it survives a reload and a restart, and the checks of many services
/// are spread over the interval instead of coming in one burst. A few checks share a moment: a process that wakes for
/// each one alone pays the kernel twice as much per check as one that makes two dozen at a time.
@LoopActor final class CheckSchedule {
  private let clock: LoopClock
  /// The moment from which all services count their place in the interval.
  private let epoch: LoopClock.Instant
  /// Number of services that are checked.
  var serviceCount = 1

  init(clock: LoopClock) {
    self.clock = clock
    epoch = clock.now
  }

  /// Calls `body` at the moments of `service`, after the check at its start.
  func ticker(of service: ServiceConfiguration, _ body: @escaping @LoopActor (_ lateness: Duration) -> Void) -> Ticker {
    let sinceEpoch = clock.now - epoch
    let grain = CheckSchedule.grain(every: service.interval, count: serviceCount)
    let delay = CheckSchedule.firstTick(
      of: service.name, every: service.interval, grain: grain, sinceEpoch: sinceEpoch)
    return Ticker(every: service.interval, from: epoch + sinceEpoch + delay, clock: clock, body)
  }
}

extension CheckSchedule {
  /// Number of services that start in one go; the next ones follow ``startPause`` later.
  nonisolated static let startBatch = 500
  /// Pause between two batches of first checks.
  nonisolated static let startPause = Duration.milliseconds(100)

  /// Delay of the first check of the `index`-th of the services that start together.
  nonisolated static func startDelay(index: Int) -> Duration { startPause * (index / startBatch) }

  /// Place of `name` in the interval: 0..<1, evenly spread, the same in every process.
  nonisolated static func fraction(of name: String) -> Double { StableHash(name).share }

  /// Number of checks that share a moment, about; many more would hold up the rest of the loop's work.
  private nonisolated static let group = 32
  /// Longest distance of two moments.
  private nonisolated static let longestGrain = Duration.milliseconds(100)

  /// The distance of the moments at which `count` services are checked that have this interval. One of a few nested
  /// values, so that services keep to common moments, and near their own one, when their number changes.
  nonisolated static func grain(every interval: Duration, count: Int) -> Duration {
    let wanted = min(longestGrain, interval / 20, interval * group / max(1, count))
    var grain = longestGrain
    while grain > wanted, grain > .milliseconds(1) { grain /= 2 }
    return grain
  }

  /// The delay from `sinceEpoch` (time since a moment that all services share) until the first periodic
  /// check of `name`: between half an interval and one and a half, so that the check at the start is
  /// neither repeated at once nor followed by a long silence.
  /// - Parameter grain: all moments are multiples of it; see ``grain(every:count:)``.
  nonisolated static func firstTick(
    of name: String, every interval: Duration, grain: Duration, sinceEpoch: Duration
  ) -> Duration {
    let earliest = sinceEpoch + interval / 2
    let phase = grain * Int((interval * fraction(of: name) / grain).rounded(.down))
    let rounds = Int(((earliest - phase) / interval).rounded(.up))
    return phase + interval * rounds - sinceEpoch
  }
}
