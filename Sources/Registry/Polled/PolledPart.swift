internal import Reactor
internal import SmartStack

/// Something that is asked at intervals and knows some of a service's servers: a name to resolve, a daemon, a directory.
struct PolledPart: Sendable {
  /// Tells parts apart, and one that has changed from what it was.
  let id: String
  /// What is asked, for the log: `http://10.0.0.1:4243`.
  let place: String
  /// What is known already.
  let initial: RegistryReading?
  /// One complete answer. Throws when there is none; then the last one stands.
  let read: @LoopActor () async throws -> RegistryReading

  /// - Parameter id: nil: the place.
  init(
    id: String? = nil, place: String, initial: RegistryReading? = nil,
    read: @escaping @LoopActor () async throws -> RegistryReading
  ) {
    self.id = id ?? place
    self.place = place
    self.initial = initial
    self.read = read
  }
}

/// Upstream's counters of one kind of discovery, tagged with the service.
struct PollCounters: Sendable {
  /// Counts a question that is sent.
  var asked: String?
  /// Counts a question that was not answered.
  var failed: String?
}

/// When parts are asked.
struct PollSchedule: Equatable, Sendable {
  /// From one answer to the next question.
  var interval: Duration
  /// The first question comes at once, and the second within one interval, so that agents started together do not
  /// ask together; the same for the time after a failure.
  var retrying: RetryPolicy

  init(interval: Duration) {
    self.interval = interval
    retrying = RetryPolicy(base: min(interval, .seconds(1)), limit: max(interval, .seconds(1)))
  }

  /// - Parameters:
  ///   - failures: in a row, before this moment.
  ///   - isFirst: whether the first answer has just come.
  func delay(failures: Int, isFirst: Bool) -> Duration {
    if failures > 0 { return retrying.delay(attempt: failures - 1) }
    return isFirst ? interval * Double.random(in: 0.5...1) : interval
  }
}
