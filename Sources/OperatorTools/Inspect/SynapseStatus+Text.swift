internal import AgentKit
internal import Reactor
internal import SmartStack

extension SynapseStatus {
  /// The report in lines: a summary, what is wrong, and a table of the services, those without an available server first.
  static func lines(_ report: JSONValue, in style: StatusStyle) -> [String] {
    let now = report["time"]?.double ?? 0
    let services = report["services"]?.array ?? []
    var lines = style.head(of: report)
    if style.isWide, let haproxy = report["haproxy"], !haproxy.isNull {
      for sentence in proxy(haproxy, now: now) { lines += style.wrapped(sentence) }
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

  // MARK: HAProxy

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
    [
      service["name"]?.string ?? "?", service["state"]?.string ?? "?", service["port"]?.string ?? "-",
      StatusSentences.servers(of: service), service["changed"]?.double.map { (now - $0).shortAge } ?? "-",
      StatusSentences.source(of: service),
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
