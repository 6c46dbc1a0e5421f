internal import Hacheck
internal import SmartStack

/// What the operators' commands print with `--json`: one list, one object per line.
enum DowntimeJSON {
  static func list(_ objects: [String]) -> String {
    objects.isEmpty ? "[]\n" : "[\n" + objects.joined(separator: ",\n") + "\n]\n"
  }

  /// `hastatus`: the service as it was asked for, and the mark that keeps it down.
  static func status(of service: String, downtime found: Downtime?) -> String {
    let state = found == nil ? "up" : "down"
    return object([
      ("service", JSONText.quoted(service)), ("state", JSONText.quoted(state)), ("mark", found.map(mark) ?? "null"),
    ])
  }

  /// `hashowdowned`: a mark. `name` is its file's; times are seconds since 1970 or null.
  static func mark(_ mark: Downtime) -> String {
    var (service, host, port): (String?, String?, Int?) = (nil, nil, nil)
    switch mark.scope {
    case .everything: break
    case .service(let name): service = name
    case .instance(let name, let address, let number): (service, host, port) = (name, address, number)
    }
    return object([
      ("name", JSONText.quoted(mark.scope.description)), ("service", service.map(JSONText.quoted) ?? "null"),
      ("host", host.map(JSONText.quoted) ?? "null"), ("port", port.map { "\($0)" } ?? "null"),
      ("reason", JSONText.quoted(mark.reason)), ("creation", mark.creation.flatMap(JSONText.number) ?? "null"),
      ("expiration", mark.expiration.flatMap(JSONText.number) ?? "null"),
    ])
  }

  /// `halist`: a service that was asked for, and what hacheck remembers of the last answer.
  static func seen(_ service: String, last: JSONValue?) -> String {
    object([("service", JSONText.quoted(service)), ("last_response", last?.description ?? "null")])
  }

  private static func object(_ members: [(String, String)]) -> String {
    "{" + members.map { "\"\($0.0)\": \($0.1)" }.joined(separator: ", ") + "}"
  }
}
