internal import Reactor

/// The records of one registry by their places, each for as long as a reporter uses it.
@LoopActor struct SharedRecords {
  private var entries: [String: (record: KeptRecord, users: Int)] = [:]

  nonisolated init() {}

  /// All records in use, by place.
  var byPlace: [String: KeptRecord] { entries.mapValues(\.record) }

  /// The record at `place`, for one more user.
  mutating func join(_ place: String, make: () -> KeptRecord) -> KeptRecord {
    let entry = entries[place] ?? (make(), 0)
    entries[place] = (entry.record, entry.users + 1)
    return entry.record
  }

  /// One user is done with it.
  mutating func leave(_ place: String) {
    guard let entry = entries[place] else { return }
    entries[place] = entry.users > 1 ? (entry.record, entry.users - 1) : nil
  }

  /// Leaves every record in its registry, and knows none any more.
  mutating func abandonAll() {
    for entry in entries.values { entry.record.abandon() }
    entries = [:]
  }
}
