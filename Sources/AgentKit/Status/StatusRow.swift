internal import SmartStack

/// A row of the page: an instance that nerve checks, a service that synapse proxies, or both; or one that is skipped.
struct StatusRow {
  var name: String
  /// Where the instance is; empty for others.
  var address = ""
  var nerve: JSONValue?
  var synapse: JSONValue?
  /// The instance as HAProxy sees it.
  var server: JSONValue?
  /// The agent that skips it, and why.
  var skipped: (agent: String, reason: String)?
  /// Whether the servers of the service are listed here: in the first row of a service.
  var listsServers = true

  /// The text that a search looks at.
  var text: String { address.isEmpty ? name : "\(name) \(address)" }

  /// The words of the filter that fit.
  var states: Set<String> {
    var states: Set<String> = []
    if skipped != nil { states.insert("skipped") }
    if let condition = nerve?["condition"]?.string { states.insert(condition) }
    if let synapse {
      if synapse["ok"]?.bool != true { states.insert("empty") }
      if synapse["preserved"]?.bool == true { states.insert("preserved") }
    }
    if states.isEmpty { states.insert("up") }
    if states != ["up"] { states.remove("up") }
    return states.contains("up") ? states : states.union(["wrong"])
  }

  /// Ranks what is wrong before what is not.
  fileprivate var rank: Int {
    let states = states
    return ["down", "skipped", "empty", "pending", "drained", "preserved"].firstIndex { states.contains($0) } ?? 6
  }

  fileprivate var since: Double {
    max(nerve?["since"]?.double ?? 0, synapse?["changed"]?.double ?? 0)
  }

  /// Joins the agents' reports: an instance belongs to the service that has a server at its address, else to the one
  /// whose name its own begins with.
  static func all(nerve: JSONValue?, synapse: JSONValue?) -> [StatusRow] {
    let services = synapse?["services"]?.array ?? []
    var byAddress: [String: (service: Int, server: JSONValue)] = [:]
    var byName: [String: Int] = [:]
    for (index, service) in services.enumerated() {
      byName[service["name"]?.string ?? ""] = index
      for server in service["servers"]?.array ?? [] {
        if let host = server["host"]?.string, let port = server["port"]?.int {
          byAddress["\(host):\(port)"] = byAddress["\(host):\(port)"] ?? (index, server)
        }
      }
    }
    var seen: Set<Int> = []
    var rows = (nerve?["services"]?.array ?? []).map { service -> StatusRow in
      let name = service["name"]?.string ?? "?"
      let address = "\(service["host"]?.string ?? ""):\(service["port"]?.int ?? 0)"
      var row = StatusRow(name: name, address: address, nerve: service)
      guard let index = byAddress[address]?.service ?? match(name, among: byName) else { return row }
      (row.synapse, row.server) = (services[index], byAddress[address]?.server)
      row.listsServers = seen.insert(index).inserted
      return row
    }
    for (index, service) in services.enumerated() where !seen.contains(index) {
      rows.append(StatusRow(name: service["name"]?.string ?? "?", synapse: service))
    }
    for (agent, report) in [("nerve", nerve), ("synapse", synapse)] {
      for service in report?["skipped"]?.array ?? [] where service["runs"]?.bool != true {
        let reason = service["reason"]?.string ?? ""
        rows.append(StatusRow(name: service["name"]?.string ?? "?", skipped: (agent, reason)))
      }
    }
    return rows
  }

  /// `web.main.31001` → `web.main`, and so on.
  private static func match(_ name: String, among services: [String: Int]) -> Int? {
    var rest = name[...]
    while true {
      if let index = services[String(rest)] { return index }
      guard let end = rest.lastIndex(where: { $0 == "." || $0 == ":" || $0 == "_" }) else { return nil }
      rest = rest[..<end]
    }
  }
}

extension [StatusRow] {
  /// In an order of ``StatusPage/Query``; of equal ones, by name.
  func sorted(by order: String) -> [StatusRow] {
    switch order {
    case "name": sorted { $0.name < $1.name }
    case "since": sorted { ($1.since, $0.name) < ($0.since, $1.name) }
    default:
      map { (rank: $0.rank, row: $0) }.sorted { ($0.rank, $0.row.name) < ($1.rank, $1.row.name) }.map(\.row)
    }
  }
}
