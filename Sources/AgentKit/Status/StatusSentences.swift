public import SmartStack

/// What a status report says in sentences: for the commands and the page alike.
public enum StatusSentences {
  /// One sentence on the agent: how many services are up, and whether it works with what it needs.
  public static func summary(of report: JSONValue) -> String {
    let (services, skipped) = (report["services"]?.array ?? [], report["skipped"]?.array ?? [])
    let total = services.count + skipped.count { $0["runs"]?.bool == false }
    let agent = report["agent"]?.string ?? "?"
    var text = "\(agent) \(report["version"]?.string ?? "?"), pid \(report["pid"]?.int ?? 0): "
    let up = services.count { agent == "nerve" ? $0["condition"]?.string == "up" : $0["ok"]?.bool == true }
    text += "\(up) of \(total.counted("service")) up"
    for word in ["down", "drained", "pending"] {
      let count = services.count { $0["condition"]?.string == word }
      if count > 0 { text += ", \(count) \(word)" }
    }
    let preserved = services.count { $0["preserved"]?.bool == true }
    if preserved > 0 { text += ", \(preserved) preserved" }
    if !skipped.isEmpty { text += ", \(skipped.count) skipped" }
    return text + (agent == "nerve" ? registry(report) : proxy(report))
  }

  private static func registry(_ report: JSONValue) -> String {
    (report["connected"]?.bool == true ? "; registry connected" : "; registry not connected")
      + (report["hacheck"]?.bool == false ? "; hacheck does not listen" : "")
  }

  private static func proxy(_ report: JSONValue) -> String {
    guard let haproxy = report["haproxy"], !haproxy.isNull else { return "; no HAProxy" }
    let sockets = haproxy["sockets"]?.array ?? []
    if sockets.contains(where: { $0["pid"]?.int == nil }) { return "; HAProxy does not answer" }
    return sockets.allSatisfy { $0["in_sync"]?.bool == true } ? "; HAProxy in sync" : "; HAProxy not in sync"
  }

  /// What is wrong, one sentence each: a file that is rejected, services that are skipped, HAProxy's problems.
  public static func problems(of report: JSONValue) -> [String] {
    var sentences: [String] = []
    if let rejected = report["rejected"], let since = rejected["since"]?.double {
      sentences.append(
        "configuration rejected since \(since.dateInWords ?? "?"): \(rejected["reason"]?.string ?? ""); the previous one "
          + "is active")
    }
    for service in report["skipped"]?.array ?? [] {
      let fate = service["runs"]?.bool == true ? "runs as before" : "is skipped"
      sentences.append("service \(service["name"]?.string ?? "?") \(fate): \(service["reason"]?.string ?? "")")
    }
    guard let haproxy = report["haproxy"], !haproxy.isNull else { return sentences }
    for socket in haproxy["sockets"]?.array ?? [] where socket["pid"]?.int == nil {
      sentences.append(
        "HAProxy does not answer at \(socket["path"]?.string ?? ""): does it run, with this stats socket?")
    }
    sentences += (haproxy["reload_needed_because"]?.strings ?? []).map { "a reload is needed: \($0)" }
    sentences += (haproxy["problems"]?.strings ?? []).map { "problem: \($0)" }
    if let reload = haproxy["reloads"]?.array?.last, let failure = reload["failure"]?.string {
      let age = reload["time"]?.double.map { "\(((report["time"]?.double ?? 0) - $0).shortAge) ago" }
      sentences.append("the last reload, \(age ?? "at an unknown time"), failed: \(failure)")
    }
    return sentences.map { $0.oneLine(limit: .max) }
  }

  /// Until when one of nerve's services is drained, who did it, why, and what the downtime covers.
  public static func drain(of service: JSONValue) -> String {
    guard let downtime = service["downtime"], !downtime.isNull else { return "by a downtime" }
    let end = downtime["until"]?.double.map { "until \($0.dateInWords ?? "\($0)")" } ?? "no end"
    let by = downtime["by"]?.string.map { " by \($0)" } ?? ""
    return "\(end)\(by): \(downtime["reason"]?.string ?? "") (\(downtime["scope"]?.string ?? ""))"
  }

  /// The last results of one of nerve's services, the reason before the check's name.
  public static func checks(of service: JSONValue) -> String {
    (service["checks"]?.array ?? []).map { check -> String in
      let elapsed = check["elapsed"]?.double.map { " in \(Int(($0 * 1000).rounded())) ms" } ?? ""
      return "\(check["detail"]?.string ?? "")\(elapsed) (\(check["name"]?.string ?? ""))"
    }.joined(separator: "; ")
  }

  /// Numbers of one of synapse's services' servers by their state in HAProxy: `2 up, 1 maint`.
  public static func servers(of service: JSONValue) -> String {
    var counts: [String: Int] = [:]
    for server in service["servers"]?.array ?? [] {
      // `UP 1/2`, `MAINT (resolution)`: the first word is the state.
      let status = server["status"]?.string ?? ""
      let word = status == "no check" ? status : status.split(separator: " ").first?.lowercased() ?? "unknown"
      counts[word, default: 0] += 1
    }
    let shown = counts.sorted { ($0.key == "up" ? 0 : 1, $0.key) < ($1.key == "up" ? 0 : 1, $1.key) }
    return shown.isEmpty ? "none" : shown.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
  }

  /// Where the data of one of synapse's services is from.
  public static func source(of service: JSONValue) -> String {
    let place = service["discovery"]?.string ?? ""
    if (service["servers"]?.array ?? []).contains(where: { $0["from"]?.string == "defaults" }) {
      return "default_servers, and \(place)"
    }
    if service["has_data"]?.bool == false { return "remembered: no data yet from \(place)" }
    return service["preserved"]?.bool == true ? "preserved: few or none are registered at \(place)" : place
  }
}
