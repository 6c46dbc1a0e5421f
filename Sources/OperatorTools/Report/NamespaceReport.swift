internal import HAProxyRuntime
internal import SmartStack

/// How a service's namespace is at each location of its discover level.
struct NamespaceReport: Hashable, Sendable {
  /// The name, as `service.namespace`.
  var name: String
  /// The type of location by which clients find it.
  var level: String
  /// Its locations, sorted by name.
  var locations: [LocationReport] = []
  /// What an operator should know besides.
  var notes: [String] = []

  /// The worst of all locations; a service that is nowhere is critical.
  var verdict: ReplicationVerdict { locations.map(\.verdict).max() ?? .critical }
}

/// One location of a service.
struct LocationReport: Hashable, Sendable {
  /// Who knows how many servers there are.
  enum Source: Hashable, Sendable {
    /// A HAProxy, asked there.
    case haproxy(String)
    /// No HAProxy was asked about this location: what is registered is healthy for its nerve.
    case registry

    var word: String { self == .registry ? "registry" : "haproxy" }
  }

  var location: String
  var source: Source
  var replication: Replication
  var verdict: ReplicationVerdict
  /// Registrations that say they are here; nil: the registry was not asked.
  var registered: Int?
  /// Servers that HAProxy lists.
  var servers: [StatsPage.Server] = []
  /// Registered, but not among HAProxy's servers.
  var missing: [String] = []

  /// PaaSTA's line: `habitatA - Healthy - in haproxy with (1/1) total backends UP in this namespace.`
  func line(inColor: Bool = false) -> String {
    var count = "(\(replication.available)/\(replication.expected)"
    count += verdict == .healthy ? ")" : ", \(replication.wholePercent)%)"
    let paint = { (code: String, text: String) in inColor ? code + text + "\u{1b}[0m" : text }
    return "\(location) - \(paint(verdict.color, verdict.word)) - in \(source.word) with \(paint(verdict.color, count))"
      + " total backends \(paint("\u{1b}[1m", "UP")) in this namespace."
  }

  /// PaaSTA's line of an alert.
  func alertLine(_ service: String) -> String {
    "- Service \(service) has \(replication.available) out of \(replication.expected) expected instances in \(location) "
      + "(\(verdict.alertWord): \(replication.wholePercent)%)"
  }
}

/// Reports as text, JSON and a monitoring check.
enum ReplicationText {
  /// Lines for people to read.
  static func lines(_ report: NamespaceReport, isVerbose: Bool, inColor: Bool) -> [String] {
    var lines = ["\(report.name), by \(report.level):"]
    if report.locations.isEmpty { lines.append("    nowhere: no \(report.level) has it registered") }
    for location in report.locations {
      lines.append("    " + location.line(inColor: inColor))
      if isVerbose { lines += table(location).map { "      " + $0 } }
    }
    return lines + report.notes.map { "    note: \($0)" }
  }

  private static func table(_ location: LocationReport) -> [String] {
    var rows: [[String]] = location.servers.map { server in
      let change = server.lastChange.map { "\($0) s ago" } ?? ""
      return [server.name, server.lastCheck, change, server.status]
    }
    rows += location.missing.map { [$0, "", "", "not in haproxy"] }
    if rows.isEmpty { return [] }
    rows.insert(["Name", "LastCheck", "LastChange", "Status"], at: 0)
    let widths = (0..<4).map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      let cells = zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
      return cells.dropLast().joined(separator: "  ") + "  " + row[3]
    }
  }

  /// For Nagios and Sensu: the locations that are not well first.
  static func alert(_ report: NamespaceReport) -> String {
    guard !report.locations.isEmpty else {
      return "Service \(report.name) has no Smartstack replication info: nothing is registered at any "
        + "\(report.level). Is `discover` in its smartstack.yaml right, and does any of its tasks run?\n"
    }
    let bad = report.locations.filter { $0.verdict != .healthy }.map { $0.alertLine(report.name) }
    let good = report.locations.filter { $0.verdict == .healthy }.map { $0.alertLine(report.name) }
    if bad.isEmpty { return good.joined(separator: "\n") + "\n" }
    var text = bad.joined(separator: "\n") + "\n"
    if !good.isEmpty { text += "\n\nThe following locations are OK:\n" + good.joined(separator: "\n") + "\n" }
    return text + """


      Clients there find fewer servers than the service is meant to have. Where to look:
        smartstack-status -v \(report.name): which servers HAProxy does not count as up
        nerve status, on the hosts of its tasks: what is not registered, and why
        synapse status, on a host of a client: what synapse knows of it

      """
  }

  static func json(_ report: NamespaceReport) -> JSONValue {
    [
      "service": .string(report.name), "level": .string(report.level), "status": .string(report.verdict.word),
      "locations": .array(report.locations.map(json)), "notes": .array(report.notes.map { .string($0) }),
    ]
  }

  private static func json(_ report: LocationReport) -> JSONValue {
    var object: JSONObject = [
      "location": .string(report.location), "status": .string(report.verdict.word),
      "source": .string(report.source.word), "up": .int(report.replication.available),
      "expected": .int(report.replication.expected), "percent": .int(report.replication.wholePercent),
      "registered": report.registered.map { .int($0) } ?? .null,
    ]
    if case .haproxy(let place) = report.source { object["haproxy"] = .string(place) }
    object["servers"] = .array(
      report.servers.map { server in
        [
          "name": .string(server.name), "status": .string(server.status), "last_check": .string(server.lastCheck),
          "last_change_s": server.lastChange.map { .int($0) } ?? .null,
        ]
      })
    object["missing"] = .array(report.missing.map { .string($0) })
    return .object(object)
  }
}
