internal import AgentKit
internal import Logging
internal import Reactor
public import SmartStack

/// A status report as a person reads it.
public enum StatusText {
  /// A server's part of the report.
  static func server(_ server: Backend, from source: String) -> JSONValue {
    [
      "name": .string(server.serverName), "host": .string(server.host), "port": .int(server.port),
      "weight": server.weight.map { .int($0) } ?? .null, "from": .string(source),
    ]
  }

  /// Makes a server of the report: `/` is a page, `/metrics` Prometheus' text.
  @LoopActor static func makeServer(
    metrics: Metrics, logger: Logger, hostNames: [String], report: @escaping @LoopActor () -> JSONValue
  ) -> StatusServer {
    StatusServer(
      logger: logger, hostNames: hostNames, report: report,
      pages: [
        "/metrics": ("text/plain; version=0.0.4; charset=utf-8", { metrics.render() }),
        "/": ("text/html; charset=utf-8", { page(lines(report())) }),
      ])
  }

  /// A page whose names come from the registry: anybody's.
  private static func page(_ lines: [String]) -> String {
    let text = lines.map(\.htmlEscaped).joined(separator: "\n")
    return "<!doctype html><title>synapse</title><p><a href=\"/status\">JSON</a> <a href=\"/metrics\">metrics</a></p>"
      + "<pre>\n\(text)\n</pre>\n"
  }

  /// The report in lines; what it does not hold is skipped.
  public static func lines(_ report: JSONValue) -> [String] {
    let now = report["time"]?.double ?? 0
    var lines = ["\(report["version"]?.string ?? "synapse"), pid \(report["pid"]?.int ?? 0)"]
    lines.append("configuration \(report["configuration"]?.string ?? "")")
    for text in report["left_out"]?.strings ?? [] { lines.append("skipped: \(text)") }
    if let haproxy = report["haproxy"] { lines += proxy(haproxy, now: now) }
    for (name, service) in report["services"]?.object?.members ?? [] {
      lines += [""] + self.service(name, report: service, now: now)
    }
    return lines.map { $0.oneLine(limit: .max) }
  }

  private static func proxy(_ haproxy: JSONValue, now: Double) -> [String] {
    let isCurrent = haproxy["file_is_current"]?.bool ?? false
    var lines = [
      "", "haproxy file \(haproxy["file"]?.string ?? ""): \(isCurrent ? "current" : "about to be replaced")",
    ]
    for socket in haproxy["sockets"]?.array ?? [] {
      let process =
        socket["pid"]?.int.map { "pid \($0), HAProxy \(socket["version"]?.string ?? "")" } ?? "no answer yet"
      var state = socket["is_in_agreement"]?.bool == true ? "in sync" : "not in sync"
      if socket["is_through_master"]?.bool == true { state += ", its file is missing (the master's socket is used)" }
      lines.append(
        "  socket \(socket["path"]?.string ?? ""): \(process), \(state), \(socket["added_servers"]?.int ?? 0) servers "
          + "added at run time, \(socket["drifts"]?.int ?? 0) drifts repaired")
    }
    for reason in haproxy["reload_needed_because"]?.strings ?? [] { lines.append("  a reload is needed: \(reason)") }
    for problem in haproxy["problems"]?.strings ?? [] { lines.append("  problem: \(problem)") }
    for reload in haproxy["reloads"]?.array ?? [] {
      let outcome = reload["failure"]?.string.map { "failed: \($0)" } ?? "done"
      lines.append("  reload \(ago(reload["time"], now: now)): \(reload["reason"]?.string ?? ""); \(outcome)")
    }
    return lines
  }

  private static func service(_ name: String, report service: JSONValue, now: Double) -> [String] {
    let servers = service["servers"]?.array ?? []
    var line = "\(name): \(servers.count) servers"
    line +=
      service["heard_of"]?.bool == true ? ", changed \(ago(service["last_change"], now: now))" : ", no data yet"
    var lines = [line, "  from \(service["discovery"]?.string ?? "")"]
    for server in servers {
      let weight = server["weight"]?.int.map { " weight \($0)" } ?? ""
      var text =
        "  \(server["name"]?.string ?? "") \(server["host"]?.string ?? ""):\(server["port"]?.int ?? 0)\(weight)"
      if server["from"] != service["discovery"], let source = server["from"]?.string { text += " (\(source))" }
      lines.append(text)
    }
    return lines
  }

  private static func ago(_ time: JSONValue?, now: Double) -> String {
    guard let time = time?.double else { return "at an unknown time" }
    let seconds = max(0, Int(now - time))
    switch seconds {
    case ..<120: return "\(seconds) s ago"
    case ..<7200: return "\(seconds / 60) min ago"
    default: return "\(seconds / 3600) h ago"
    }
  }
}
