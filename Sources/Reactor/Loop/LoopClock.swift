internal import CEvent
internal import Glibc

/// The loop's time: real, or moved by hand in tests.
///
/// Policies take `now` as a value; whatever waits, waits through ``schedule(after:_:)``.
@LoopActor public final class LoopClock {
  /// A moment of the monotonic clock.
  public typealias Instant = ContinuousClock.Instant

  /// The clock of the machine.
  public static let system = LoopClock(manual: false)

  private let isManual: Bool
  private var manualNow = ContinuousClock.now
  private var manualUnixTime: Double = 1_700_000_000
  private var waiting: [(due: Instant, order: UInt64, timer: LoopTimer)] = []
  private var sequence: UInt64 = 0

  private init(manual: Bool) { isManual = manual }

  /// A clock that stands still until ``advance(by:)``.
  public static func manual() -> LoopClock { LoopClock(manual: true) }

  /// The current moment of this clock.
  public var now: Instant { isManual ? manualNow : .now }

  /// Seconds since 1970, for what is written down for others (spool marks, logs).
  public var unixTime: Double {
    if isManual { return manualUnixTime }
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  /// Runs `body` once after `delay`, never before this call returns. Keep the timer to cancel it;
  /// letting go of it does not.
  @discardableResult
  public func schedule(after delay: Duration, _ body: @escaping @LoopActor () -> Void) -> LoopTimer {
    let timer = LoopTimer(body)
    if isManual {
      sequence += 1
      waiting.append((due: manualNow + max(.zero, delay), order: sequence, timer: timer))
    } else {
      timer.arm(after: max(.zero, delay))
    }
    return timer
  }

  /// Moves a manual clock forward, firing what comes due in order of time.
  public func advance(by step: Duration) {
    precondition(isManual, "only a manual clock can be advanced")
    let end = manualNow + step
    while let next = waiting.filter({ $0.due <= end }).min(by: { ($0.due, $0.order) < ($1.due, $1.order) }) {
      waiting.removeAll { $0.order == next.order }
      move(to: max(next.due, manualNow))
      next.timer.fire()
    }
    move(to: end)
  }

  private func move(to moment: Instant) {
    manualUnixTime += (moment - manualNow) / .seconds(1)
    manualNow = moment
  }
}

/// One pending call of ``LoopClock/schedule(after:_:)``.
@LoopActor public final class LoopTimer {
  private var body: (@LoopActor () -> Void)?
  private var event: OpaquePointer?
  /// Keeps an armed timer alive: libevent holds a bare pointer to it.
  private var keepAlive: LoopTimer?

  init(_ body: @escaping @LoopActor () -> Void) { self.body = body }

  isolated deinit { release() }

  /// Forgets the call; harmless afterwards.
  public func cancel() {
    body = nil
    release()
  }

  /// Whether the call is still to come.
  public var isPending: Bool { body != nil }

  func arm(after delay: Duration) {
    event = event_new(EventLoop.shared.base, -1, 0, onTimer, Unmanaged.passUnretained(self).toOpaque())
    precondition(event != nil, "out of memory")
    keepAlive = self
    var interval = delay.timeval
    event_add(event, &interval)
  }

  func fire() {
    let body = body
    cancel()
    body?()
  }

  private func release() {
    if let event { event_free(event) }
    event = nil
    keepAlive = nil
  }
}

private func onTimer(_ descriptor: Int32, _ what: Int16, _ context: UnsafeMutableRawPointer?) {
  onLoop(context) { (timer: LoopTimer) in timer.fire() }
}

extension Duration {
  /// As libevent takes it; sub-microsecond parts are rounded up, so that a timer is never early.
  /// More than ten years is ten years: libevent adds to it.
  var timeval: timeval {
    let parts = min(self, .seconds(10 * 366 * 86_400)).components
    let microseconds = (parts.attoseconds + 999_999_999_999) / 1_000_000_000_000
    return Glibc.timeval(tv_sec: Int(parts.seconds), tv_usec: Int(microseconds))
  }
}
