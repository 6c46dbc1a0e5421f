public import AgentKit
internal import Logging
internal import Reactor
public import SmartStack

/// A status report as a person reads it.
public enum StatusText {
  /// Makes a server of the report: `/` is a page, `/metrics` Prometheus' text.
  @LoopActor static func makeServer(
    metrics: Metrics, logger: Logger, hostNames: [String], report: @escaping @LoopActor () async -> JSONValue
  ) -> StatusServer {
    StatusServer(
      logger: logger, hostNames: hostNames, report: report,
      pages: [
        "/metrics": ("text/plain; version=0.0.4; charset=utf-8", { metrics.render() }),
        "/": (
          "text/html; charset=utf-8",
          {
            var style = StatusStyle()
            style.isWide = true
            return page(lines(await report(), in: style))
          }
        ),
      ])
  }

  /// A page whose names come from the registry: anybody's.
  private static func page(_ lines: [String]) -> String {
    let text = lines.map(\.htmlEscaped).joined(separator: "\n")
    return "<!doctype html><title>synapse</title><p><a href=\"/status\">JSON</a> <a href=\"/metrics\">metrics</a></p>"
      + "<pre>\n\(text)\n</pre>\n"
  }

  /// The report in lines: a summary, what is wrong, and a table of the services, those without an available server first.
  public static func lines(_ report: JSONValue, in style: StatusStyle) -> [String] {
    let now = report["time"]?.double ?? 0
    let services = report["services"]?.array ?? []
    var lines = style.wrapped(summary(report, services: services)) + style.problems(of: report)
    if let haproxy = report["haproxy"], !haproxy.isNull {
      for sentence in proxyProblems(haproxy, now: now) { lines += style.wrapped(sentence) }
      if style.isWide { for sentence in proxy(haproxy, now: now) { lines += style.wrapped(sentence) } }
    }
    var table = StatusTable(["SERVICE", "STATE", "PORT", "SERVERS", "CHANGED", "FROM"])
    let rank = ["down": 0, "unknown": 1, "empty": 2]
    let sorted = services.sorted { one, other in
      let (a, b) = (one["state"]?.string ?? "", other["state"]?.string ?? "")
      let preserved = (one["preserved"]?.bool == true ? 0 : 1, other["preserved"]?.bool == true ? 0 : 1)
      return (rank[a] ?? 3, preserved.0, one["name"]?.string ?? "")
        < (rank[b] ?? 3, preserved.1, other["name"]?.string ?? "")
    }
    let shown = style.hidesUp ? sorted.filter { $0["ok"]?.bool != true } : sorted
    for service in shown { table.add(cells(service, now: now), tone: tone(service)) }
    lines += table.lines(in: style)
    if style.isWide { for service in shown { lines += servers(service, in: style) } }
    return lines
  }

  private static func summary(_ report: JSONValue, services: [JSONValue]) -> String {
    let up = services.count { $0["ok"]?.bool == true }
    let skipped = report["skipped"]?.array ?? []
    let total = services.count + skipped.count { $0["runs"]?.bool == false }
    var text = "synapse \(report["version"]?.string ?? "?"), pid \(report["pid"]?.int ?? 0): "
    text += "\(up) of \(total.counted("service")) up"
    let preserved = services.count { $0["preserved"]?.bool == true }
    if preserved > 0 { text += ", \(preserved) preserved" }
    if !skipped.isEmpty { text += ", \(skipped.count) skipped" }
    guard let haproxy = report["haproxy"], !haproxy.isNull else { return text + "; no HAProxy" }
    let sockets = haproxy["sockets"]?.array ?? []
    if sockets.contains(where: { $0["pid"]?.int == nil }) { return text + "; HAProxy does not answer" }
    return text + (sockets.allSatisfy { $0["in_sync"]?.bool == true } ? "; HAProxy in sync" : "; HAProxy not in sync")
  }

  // MARK: HAProxy

  private static func proxyProblems(_ haproxy: JSONValue, now: Double) -> [String] {
    var lines: [String] = []
    for socket in haproxy["sockets"]?.array ?? [] where socket["pid"]?.int == nil {
      lines.append("HAProxy does not answer at \(socket["path"]?.string ?? ""): does it run, with this stats socket?")
    }
    for reason in haproxy["reload_needed_because"]?.strings ?? [] { lines.append("a reload is needed: \(reason)") }
    for problem in haproxy["problems"]?.strings ?? [] { lines.append("problem: \(problem)") }
    if let reload = haproxy["reloads"]?.array?.last, let failure = reload["failure"]?.string {
      lines.append("the last reload, \(ago(reload["time"], now: now)), failed: \(failure)")
    }
    return lines.map { $0.oneLine(limit: .max) }
  }

  private static func proxy(_ haproxy: JSONValue, now: Double) -> [String] {
    let isCurrent = haproxy["file_is_current"]?.bool ?? false
    var lines = ["HAProxy file \(haproxy["file"]?.string ?? ""): \(isCurrent ? "current" : "about to be replaced")"]
    for socket in haproxy["sockets"]?.array ?? [] {
      let process =
        socket["pid"]?.int.map { "pid \($0), HAProxy \(socket["version"]?.string ?? "")" } ?? "no answer yet"
      var state = socket["in_sync"]?.bool == true ? "in sync" : "not in sync"
      if socket["through_master"]?.bool == true { state += ", its file is missing (the master's socket is used)" }
      lines.append(
        "HAProxy socket \(socket["path"]?.string ?? ""): \(process), \(state), "
          + "\((socket["added_servers"]?.int ?? 0).counted("server")) added at run time, "
          + "\((socket["drifts"]?.int ?? 0).counted("drift")) repaired")
    }
    for reload in haproxy["reloads"]?.array ?? [] {
      let outcome = reload["failure"]?.string.map { "failed: \($0)" } ?? "done"
      lines.append("reload \(ago(reload["time"], now: now)): \(reload["reason"]?.string ?? ""); \(outcome)")
    }
    return lines
  }

  // MARK: Services

  private static func tone(_ service: JSONValue) -> StatusStyle.Tone {
    if service["ok"]?.bool != true { return service["state"]?.string == "empty" ? .warning : .bad }
    return service["preserved"]?.bool == true || service["has_data"]?.bool == false ? .warning : .good
  }

  private static func cells(_ service: JSONValue, now: Double) -> [String] {
    let servers = service["servers"]?.array ?? []
    var counts: [(word: String, count: Int)] = []
    for server in servers {
      // `UP 1/2`, `MAINT (resolution)`: the first word is the state.
      let status = server["status"]?.string ?? ""
      let word = status == "no check" ? status : status.split(separator: " ").first?.lowercased() ?? "unknown"
      if let index = counts.firstIndex(where: { $0.word == word }) {
        counts[index].count += 1
      } else {
        counts.append((word, 1))
      }
    }
    let shown = counts.sorted { ($0.word == "up" ? 0 : 1, $0.word) < ($1.word == "up" ? 0 : 1, $1.word) }
    var place = service["discovery"]?.string ?? ""
    if service["preserved"]?.bool == true { place = "preserved: none is registered at \(place)" }
    if service["has_data"]?.bool == false { place = "remembered: no data yet from \(place)" }
    if servers.contains(where: { $0["from"]?.string == "defaults" }) { place = "default_servers, and \(place)" }
    return [
      service["name"]?.string ?? "?", service["state"]?.string ?? "?", service["port"]?.string ?? "-",
      shown.isEmpty ? "none" : shown.map { "\($0.count) \($0.word)" }.joined(separator: ", "),
      service["changed"]?.double.map { (now - $0).shortAge } ?? "-", place,
    ]
  }

  /// The servers of one service, as HAProxy sees them.
  private static func servers(_ service: JSONValue, in style: StatusStyle) -> [String] {
    var table = StatusTable(["SERVER", "STATE", "CHECK", "SINCE", "WEIGHT", "FROM"])
    for server in service["servers"]?.array ?? [] {
      table.add(
        [
          server["name"]?.string ?? "?", server["status"]?.string ?? "unknown", server["check"]?.string ?? "",
          server["age"]?.double?.shortAge ?? "-", server["weight"]?.int.map(String.init) ?? "-",
          server["from"]?.string ?? "",
        ],
        tone: server["up"]?.bool == true ? .good : server["from"]?.string == "left" ? .warning : .bad)
    }
    let lines = table.lines(in: style)
    return lines.isEmpty ? [] : [""] + style.wrapped("\(service["name"]?.string ?? "?"):") + lines
  }

  private static func ago(_ time: JSONValue?, now: Double) -> String {
    time?.double.map { "\((now - $0).shortAge) ago" } ?? "at an unknown time"
  }
}
