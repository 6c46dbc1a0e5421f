internal import AgentKit
internal import HAProxyRuntime
internal import Reactor
internal import SmartStack

extension [NamespaceReport] {
  /// All services at all locations as one self-contained page: numbers against the expectation, servers, and hosts.
  /// Nothing in it is loaded from elsewhere.
  /// - Parameters:
  ///   - failures: what could not be told.
  ///   - now: when the reports were made, in seconds since 1970.
  func page(failures: [String], now: Double) -> String {
    let bad = count(where: { $0.verdict != .healthy })
    let problems = failures.map { "<li><bdi>\($0.htmlEscaped)</bdi></li>" }.joined()
    let body = """
      <header><h1>SmartStack <small>all services</small></h1>
      <p class="quiet">As of \(now.dateInWords ?? ""), seen from \((HostInfo.name ?? "").htmlEscaped)</p></header>
      <main>
      <section aria-label="Summary"><p>\(count.counted("service")): \(count - bad) healthy, \(bad) not</p>
      \(problems.isEmpty ? "" : "<ul class=\"notice bad\">\(problems)</ul>")</section>
      \(services)\(hosts)</main>
      """
    return StatusPage.document(title: "SmartStack: all services", body: body)
  }

  private var services: String {
    let sorted = self.sorted { ($1.verdict.rawValue, $0.name) < ($0.verdict.rawValue, $1.name) }
    let places = Set(flatMap { $0.locations.map(\.location) }).sorted()
    let headings = (["Service"] + places).map { "<th scope=\"col\"><bdi>\($0.htmlEscaped)</bdi></th>" }.joined()
    let rows = sorted.map { report -> String in
      let notes = report.notes.map { "<p class=\"quiet\"><bdi>\($0.htmlEscaped)</bdi></p>" }.joined()
      let none = report.locations.isEmpty ? "<p><span class=\"badge bad\">nowhere</span></p>" : ""
      let cells = places.map { place -> String in
        let location = report.locations.first { $0.location == place }
        return "<td data-label=\"\(place.htmlEscaped)\">\(location.map([NamespaceReport].cell) ?? "")</td>"
      }
      return "<tr><th scope=\"row\"><bdi>\(report.name.htmlEscaped)</bdi>"
        + "<p class=\"quiet\">by \(report.level.htmlEscaped)</p>\(none)\(notes)</th>\(cells.joined())</tr>\n"
    }
    return
      "<section aria-label=\"Services\"><table>\n<thead><tr>\(headings)</tr></thead>\n<tbody>\n\(rows.joined())</tbody>"
      + "</table></section>\n"
  }

  private static func cell(_ location: LocationReport) -> String {
    let numbers = "\(location.replication.available)/\(location.replication.expected)"
    var html = "<span class=\"badge \(location.verdict.tone)\">\(numbers)</span>"
    let drained = location.servers.count { $0.status.hasPrefix("MAINT") }
    if drained > 0 { html += " <span class=\"badge warn\">\(drained) in maintenance</span>" }
    if location.preserved > 0 { html += " <span class=\"badge warn\">\(location.preserved) preserved</span>" }
    if !location.missing.isEmpty {
      html += " <span class=\"badge bad\">\(location.missing.count) not in HAProxy</span>"
    }
    let rows =
      location.servers.map { "\($0.name) \($0.status) \($0.lastCheck)" }
      + location.missing.map { "\($0) not in HAProxy" }
    if rows.isEmpty { return html + (location.haproxy == nil ? "<p class=\"quiet\">registry</p>" : "") }
    let items = rows.map { "<li><bdi>\($0.htmlEscaped)</bdi></li>" }.joined()
    return html + "<details><summary>\(rows.count.counted("server"))</summary><ul>\(items)</ul></details>"
  }

  private var hosts: String {
    var counts: [String: (up: Int, all: Int, services: Set<String>)] = [:]
    for report in self {
      for server in report.locations.flatMap(\.servers) {
        let host = server.place?.host ?? server.name
        counts[host, default: (0, 0, [])].all += 1
        counts[host]?.up += server.isUp ? 1 : 0
        counts[host]?.services.insert(report.name)
      }
    }
    if counts.isEmpty { return "" }
    let sorted = counts.sorted { one, other in
      (one.value.up == one.value.all ? 1 : 0, one.key) < (other.value.up == other.value.all ? 1 : 0, other.key)
    }
    let rows = sorted.map { host, count in
      "<tr><th scope=\"row\"><bdi>\(host.htmlEscaped)</bdi></th><td data-label=\"Servers\"><span class=\"badge "
        + "\(count.up == count.all ? "up" : "bad")\">\(count.up)/\(count.all)</span></td><td data-label=\"Services\"><bdi>"
        + "\(count.services.sorted().joined(separator: ", ").htmlEscaped)</bdi></td></tr>\n"
    }
    return "<section aria-label=\"Hosts\"><h2>Hosts</h2><table>\n<thead><tr><th scope=\"col\">Host</th>"
      + "<th scope=\"col\">Servers</th><th scope=\"col\">Services</th></tr></thead>\n<tbody>\n\(rows.joined())</tbody></table>"
      + "</section>\n"
  }
}

extension ReplicationVerdict {
  fileprivate var tone: String {
    switch self {
    case .healthy: "up"
    case .warning: "warn"
    case .critical: "bad"
    }
  }
}
