internal import SmartStack

extension NerveStatus {
  /// The table that `nerve status` prints: one line per service, problems first.
  /// - Parameter now: seconds since 1970.
  static func table(of status: JSONValue, now: Double) -> String {
    let services = status["services"]?.array ?? []
    let up = services.count { $0["state"]?.string == "up" }
    var text = "nerve \(status["version"]?.string ?? "?"), pid \(status["pid"]?.int ?? 0): "
    text += "\(up) of \(services.count) services up, registry "
    text += status["connected"]?.bool == true ? "connected" : "not connected"
    text += status["hacheck"]?.bool == false ? ", hacheck does not listen" : ""
    let rows = services.map { row($0, now: now) }.sorted {
      ($0.isFine ? 1 : 0, $0.cells[0]) < ($1.isFine ? 1 : 0, $1.cells[0])
    }
    let cells =
      [["SERVICE", "STATE", "SINCE", "REGISTRATION", "CHECKS"]] + rows.map { $0.cells.map { $0.oneLine(limit: .max) } }
    let widths = (0..<4).map { column in cells.map { $0[column].count }.max() ?? 0 }
    for line in cells {
      let padded = zip(line, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
      text += "\n" + (line[4].isEmpty ? padded.dropLast() + [line[3]] : padded + [line[4]]).joined(separator: "  ")
    }
    return text + "\n"
  }

  private static func row(_ service: JSONValue, now: Double) -> (isFine: Bool, cells: [String]) {
    let state = service["state"]?.string ?? "unknown"
    let isDrained = service["drained"]?.bool == true
    let checks = (service["checks"]?.array ?? []).map { check -> String in
      let elapsed = check["elapsed"]?.double.map { " in \(Int(($0 * 1000).rounded())) ms" } ?? ""
      return "\(check["name"]?.string ?? ""): \(check["detail"]?.string ?? "")\(elapsed)"
    }
    let since = service["since"]?.double.map { age(now - $0) } ?? "-"
    let place = service["place"]?.string ?? service["registration"]?.string ?? ""
    return (
      state == "up" && service["place"] != nil,
      [service["name"]?.string ?? "?", isDrained ? "drained" : state, since, place, checks.joined(separator: "; ")]
    )
  }

  /// `3d4h`, `2h5m`, `7m10s`, `12s`.
  static func age(_ seconds: Double) -> String {
    let all = max(0, Int(min(seconds, 1e12)))
    switch all {
    case 86_400...: return "\(all / 86_400)d\(all % 86_400 / 3600)h"
    case 3600...: return "\(all / 3600)h\(all % 3600 / 60)m"
    case 60...: return "\(all / 60)m\(all % 60)s"
    default: return "\(all)s"
    }
  }
}
