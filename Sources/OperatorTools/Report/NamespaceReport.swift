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
  var location: String
  /// The place of the HAProxy that tells the number of servers; nil: none was asked about this location, and what is
  /// registered is healthy for its nerve.
  var haproxy: String?
  var replication: Replication
  var verdict: ReplicationVerdict
  /// Registrations that say they are here; nil: the registry was not asked.
  var registered: Int?
  /// Servers that HAProxy lists.
  var servers: [StatsPage.Server] = []
  /// Registered, but not among HAProxy's servers.
  var missing: [String] = []
  /// Number of HAProxy's servers that are up, but not registered: synapse preserves them, or has yet to remove them.
  var preserved = 0

  private var source: String { haproxy == nil ? "registry" : "haproxy" }

  /// PaaSTA's line: `habitatA - Healthy - in haproxy with (1/1) total backends UP in this namespace.`
  func line(inColor: Bool = false) -> String {
    var count = "(\(replication.available)/\(replication.expected)"
    count += verdict == .healthy ? ")" : ", \(replication.wholePercent)%)"
    let paint = { (code: String, text: String) in inColor ? code + text + "\u{1b}[0m" : text }
    return
      "\(location.oneLine()) - \(paint(verdict.color, verdict.word)) - in \(source) with \(paint(verdict.color, count))"
      + " total backends \(paint("\u{1b}[1m", "UP")) in this namespace."
  }

  /// PaaSTA's line of an alert.
  func alertLine(_ service: String) -> String {
    "- Service \(service) has \(replication.available) out of \(replication.expected) expected instances in \(location.oneLine()) "
      + "(\(verdict.alertWord): \(replication.wholePercent)%)"
  }
}

/// The report as text, JSON and a monitoring check.
extension NamespaceReport {
  /// Lines for people to read.
  func lines(isVerbose: Bool, inColor: Bool) -> [String] {
    var lines = ["\(name), by \(level):"]
    if locations.isEmpty { lines.append("    nowhere: no \(level) has it registered") }
    for location in locations {
      lines.append("    " + location.line(inColor: inColor))
      if isVerbose { lines += location.table.map { "      " + $0 } }
    }
    return lines + notes.map { "    note: \($0)" }
  }

  /// For Nagios and Sensu: the locations that are not well first.
  var alert: String {
    guard !locations.isEmpty else {
      return "Service \(name) has no Smartstack replication info: nothing is registered at any "
        + "\(level). Is `discover` in its smartstack.yaml right, and does any of its tasks run?\n"
    }
    let bad = locations.filter { $0.verdict != .healthy }.map { $0.alertLine(name) }
    let good = locations.filter { $0.verdict == .healthy }.map { $0.alertLine(name) }
    if bad.isEmpty { return good.joined(separator: "\n") + "\n" }
    var text = bad.joined(separator: "\n") + "\n"
    if !good.isEmpty { text += "\n\nThe following locations are OK:\n" + good.joined(separator: "\n") + "\n" }
    return text + """


      Clients there find fewer servers than the service is meant to have. Where to look:
        smartstack-status -v \(name): which servers HAProxy does not count as up
        nerve status, on the hosts of its tasks: what is not registered, and why
        synapse status, on a host of a client: what synapse knows of it

      """
  }

  var json: JSONValue {
    [
      "service": .string(name), "level": .string(level), "status": .string(verdict.word),
      "locations": .array(locations.map(\.json)), "notes": .array(notes.map { .string($0) }),
    ]
  }
}

extension LocationReport {
  /// The servers, for people to read.
  fileprivate var table: [String] {
    var rows: [[String]] = servers.map { server in
      let change = server.lastChange.map { "\($0) s ago" } ?? ""
      return [server.name, server.lastCheck, change, server.status]
    }
    rows += missing.map { [$0, "", "", "not in haproxy"] }
    if rows.isEmpty { return [] }
    rows.insert(["Name", "LastCheck", "LastChange", "Status"], at: 0)
    let widths = (0..<4).map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      let cells = zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
      return cells.dropLast().joined(separator: "  ") + "  " + row[3]
    }
  }

  fileprivate var json: JSONValue {
    var object: JSONObject = [
      "location": .string(location), "status": .string(verdict.word),
      "source": .string(source), "up": .int(replication.available),
      "expected": .int(replication.expected), "percent": .int(replication.wholePercent),
      "registered": registered.map { .int($0) } ?? .null,
    ]
    if let haproxy { object["haproxy"] = .string(haproxy) }
    object["servers"] = .array(
      servers.map { server in
        [
          "name": .string(server.name), "status": .string(server.status), "last_check": .string(server.lastCheck),
          "last_change_s": server.lastChange.map { .int($0) } ?? .null,
        ]
      })
    object["preserved"] = .int(preserved)
    object["missing"] = .array(missing.map { .string($0) })
    return .object(object)
  }
}
