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
    let rows = services.map { ($0, $0["condition"]?.string ?? "?") }.sorted { one, other in
      (rank(one.1), one.0["name"]?.string ?? "") < (rank(other.1), other.0["name"]?.string ?? "")
    }
    for (service, state) in rows where !(style.hidesUp && service["ok"]?.bool == true) {
      let start = [
        service["name"]?.string ?? "?", state, service["since"]?.double.map { (now - $0).shortAge } ?? "-",
      ]
      let place = service["place"]?.string ?? service["registration"]?.string ?? ""
      let tone: StatusStyle.Tone = state == "up" ? .good : state == "down" ? .bad : .warning
      let (drain, checks) = (StatusSentences.drain(of: service), StatusSentences.checks(of: service))
      if style.isWide {
        let address = "\(service["host"]?.string ?? ""):\(service["port"]?.int ?? 0)"
        table.add(start + [address, state == "drained" ? drain : place, checks], tone: tone)
      } else {
        table.add(start + [state == "drained" ? drain : state == "down" ? checks : place], tone: tone)
      }
    }
    return style.head(of: report) + table.lines(in: style)
  }

  private static func rank(_ state: String) -> Int { ["down", "pending", "drained"].firstIndex(of: state) ?? 3 }
}
