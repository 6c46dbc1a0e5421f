internal import AgentKit
internal import SmartStack

extension NerveStatus {
  /// The report in lines: a summary, what is wrong, and a table of the services, those that are not registered first.
  static func lines(_ report: JSONValue, in style: StatusStyle) -> [String] {
    let now = report["time"]?.double ?? 0
    let services = report["services"]?.array ?? []
    var table = StatusTable(
      style.isWide
        ? ["SERVICE", "STATE", "SINCE", "ADDRESS", "REGISTRATION", "CHECKS"] : ["SERVICE", "STATE", "SINCE", "DETAIL"])
    let rows = services.map { ($0, state(of: $0)) }.sorted { one, other in
      (rank(one.1), one.0["name"]?.string ?? "") < (rank(other.1), other.0["name"]?.string ?? "")
    }
    for (service, state) in rows where !(style.hidesUp && service["ok"]?.bool == true) {
      let start = [
        service["name"]?.string ?? "?", state, service["since"]?.double.map { (now - $0).shortAge } ?? "-",
      ]
      let place = service["place"]?.string ?? service["registration"]?.string ?? ""
      let tone: StatusStyle.Tone = state == "up" ? .good : state == "down" ? .bad : .warning
      if style.isWide {
        let address = "\(service["host"]?.string ?? ""):\(service["port"]?.int ?? 0)"
        table.add(start + [address, state == "drained" ? drain(of: service) : place, checks(of: service)], tone: tone)
      } else {
        let detail = state == "drained" ? drain(of: service) : state == "down" ? checks(of: service) : place
        table.add(start + [detail], tone: tone)
      }
    }
    return style.wrapped(summary(report, states: rows.map(\.1))) + style.problems(of: report) + table.lines(in: style)
  }

  private static func summary(_ report: JSONValue, states: [String]) -> String {
    let skipped = report["skipped"]?.array ?? []
    let total = states.count + skipped.count { $0["runs"]?.bool == false }
    var text = "nerve \(report["version"]?.string ?? "?"), pid \(report["pid"]?.int ?? 0): "
    text += "\(states.count { $0 == "up" }) of \(total.counted("service")) up"
    for word in ["down", "drained", "pending"] {
      let count = states.count { $0 == word }
      if count > 0 { text += ", \(count) \(word)" }
    }
    if !skipped.isEmpty { text += ", \(skipped.count) skipped" }
    text += report["connected"]?.bool == true ? "; registry connected" : "; registry not connected"
    return text + (report["hacheck"]?.bool == false ? "; hacheck does not listen" : "")
  }

  /// An operator's word before the checks' verdict, that before the registry's answer.
  private static func state(of service: JSONValue) -> String {
    if service["drained"]?.bool == true { return "drained" }
    if service["state"]?.string == "down" { return "down" }
    return service["ok"]?.bool == true ? "up" : "pending"
  }

  private static func rank(_ state: String) -> Int { ["down", "pending", "drained"].firstIndex(of: state) ?? 3 }

  /// Why a service is drained, until when, and who did it.
  private static func drain(of service: JSONValue) -> String {
    guard let downtime = service["downtime"], !downtime.isNull else { return "by a downtime" }
    let end = downtime["until"]?.double.map { "until \($0.dateInWords ?? "\($0)")" } ?? "no end"
    let by = downtime["by"]?.string.map { " by \($0)" } ?? ""
    return "\(downtime["scope"]?.string ?? "")\(by), \(end): \(downtime["reason"]?.string ?? "")"
  }

  private static func checks(of service: JSONValue) -> String {
    (service["checks"]?.array ?? []).map { check -> String in
      let elapsed = check["elapsed"]?.double.map { " in \(Int(($0 * 1000).rounded())) ms" } ?? ""
      return "\(check["name"]?.string ?? ""): \(check["detail"]?.string ?? "")\(elapsed)"
    }.joined(separator: "; ")
  }
}
