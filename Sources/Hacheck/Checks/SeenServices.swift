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

  /// Services in an answer; of more, those asked for last. Each may take a few kilobytes.
  static let mostShown = 2000

  private var records: LRUTable<String, Record>

  /// Seconds after its last question that a service is forgotten.
  private let lifetime: Double

  /// - Parameters:
  ///   - capacity: services kept; the least recently asked for go first.
  ///   - lifetime: seconds after its last question that a service is forgotten by ``sweep(now:)``.
  init(capacity: Int, lifetime: Double = .infinity) {
    records = LRUTable(capacity: capacity)
    self.lifetime = lifetime
  }

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
      records.set(service, to: record)
    }
    if let known = record.counts.index(forKey: peer) {
      record.counts.values[known] += 1
    } else {
      record.counts[record.counts.count < SeenServices.mostPeers ? peer : "other", default: 0] += 1
    }
    return record
  }

  /// Forgets services past their lifetime. Costs what it removes: the table is in the order of the questions.
  mutating func sweep(now: Double) { records.removeOldest { now - $0.asked > lifetime } }

  /// Notes what a question was answered; `code` is 599 for a service that could not be asked.
  static func answer(_ record: Record, code: Int, peer: String, time: Double) {
    record.last = (code, peer, time)
  }

  /// The services asked for in the last `threshold` seconds, as `/recent` tells them.
  func recent(threshold: Double, now: Double, shownThreshold: String) -> String {
    var text = "{\"seen_services\": ["
    var separator = ""
    // Appended to one text: this is done on the loop, and others wait for it.
    for record in sorted where now - record.asked <= threshold {
      text += separator
      text += "["
      text += JSONText.asciiQuoted(record.name)
      if let last = record.last {
        text += ", {\"code\": "
        text += String(last.code)
        text += ", \"remote_ip\": "
        text += JSONText.asciiQuoted(last.peer)
        text += ", \"ts\": "
        text += last.time.description
        text += "}]"
      } else {
        text += ", null]"
      }
      separator = ", "
    }
    text += "], \"threshold_seconds\": "
    return text + shownThreshold + "}"
  }

  /// How often each service was asked for by whom, as `/status/count` tells it.
  func accessCounts() -> String {
    var text = "{\"service_access_counts\": {"
    var separator = ""
    for record in sorted {
      text += separator
      text += JSONText.asciiQuoted(record.name)
      text += ": {"
      var inner = ""
      for (peer, count) in record.counts.sorted(by: { $0.key < $1.key }) {
        text += inner
        text += JSONText.asciiQuoted(peer)
        text += ": "
        text += String(count)
        inner = ", "
      }
      text += "}"
      separator = ", "
    }
    return text + "}}"
  }

  private var sorted: [Record] {
    var shown = records.entries.map(\.value)
    if shown.count > SeenServices.mostShown {
      shown = Array(shown.sorted { $0.asked > $1.asked }.prefix(SeenServices.mostShown))
    }
    return shown.sorted { $0.name < $1.name }
  }
}
