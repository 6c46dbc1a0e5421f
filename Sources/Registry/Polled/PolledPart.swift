internal import Reactor

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
