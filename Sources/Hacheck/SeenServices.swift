internal import SmartStack

/// Which services were asked for, when, by whom, and what they were told: `/recent` and `/status/count`.
struct SeenServices {
  /// What is known of one service. A class, so that one lookup serves several changes.
  final class Record {
    let name: String
    /// When it was last asked for, in seconds since 1970.
    fileprivate(set) var asked: Double
    /// What the last question was answered; nil while the first is still open.
    fileprivate(set) var last: (code: Int, peer: String, time: Double)?
    fileprivate(set) var counts: [String: Int] = [:]

    fileprivate init(name: String, asked: Double) {
      self.name = name
      self.asked = asked
    }
  }

  /// Further askers of one service are counted together, under the name `other`.
  static let mostPeers = 64

  private var records: LRUTable<String, Record>

  /// - Parameter capacity: services kept; the least recently asked for go first.
  init(capacity: Int) { records = LRUTable(capacity: capacity) }

  /// What is known of each service, in no particular order.
  var services: [Record] { records.entries.map(\.value) }

  /// How many services are known.
  var count: Int { records.count }

  /// Notes a question.
  /// - Returns: the service's record, for ``answer(_:code:peer:time:)``.
  mutating func ask(_ service: String, peer: String, time: Double) -> Record {
    let record: Record
    if let known = records.use(service) {
      record = known
      record.asked = time
    } else {
      record = Record(name: service, asked: time)
      records.set(service, record)
    }
    let isKnown = record.counts.count < SeenServices.mostPeers || record.counts[peer] != nil
    record.counts[isKnown ? peer : "other", default: 0] += 1
    return record
  }

  /// Notes what a question was answered; `code` is 599 for a service that could not be asked.
  static func answer(_ record: Record, code: Int, peer: String, time: Double) {
    record.last = (code, peer, time)
  }

  /// The services asked for in the last `threshold` seconds, as `/recent` tells them.
  func recent(threshold: Double, now: Double, shownThreshold: String) -> String {
    let items = records.entries.map(\.value).filter { now - $0.asked <= threshold }.sorted { $0.name < $1.name }.map {
      record in
      let last =
        record.last.map { last in
          "{\"code\": \(last.code), \"remote_ip\": \(JSONText.asciiQuoted(last.peer)), \"ts\": \(last.time)}"
        } ?? "null"
      return "[\(JSONText.asciiQuoted(record.name)), \(last)]"
    }
    return "{\"seen_services\": [\(items.joined(separator: ", "))], \"threshold_seconds\": \(shownThreshold)}"
  }

  /// How often each service was asked for by whom, as `/status/count` tells it.
  func accessCounts() -> String {
    let items = records.entries.map { name, record in
      let counts = record.counts.sorted { $0.key < $1.key }.map { "\(JSONText.asciiQuoted($0)): \($1)" }
      return "\(JSONText.asciiQuoted(name)): {\(counts.joined(separator: ", "))}"
    }
    return "{\"service_access_counts\": {\(items.sorted().joined(separator: ", "))}}"
  }
}
