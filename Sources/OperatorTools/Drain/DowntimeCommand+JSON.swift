internal import Hacheck
internal import SmartStack

/// The output with `--json`: one list, one object per line.
extension DowntimeCommand {
  static func json(_ objects: [String]) -> String {
    objects.isEmpty ? "[]\n" : "[\n" + objects.joined(separator: ",\n") + "\n]\n"
  }

  /// `hastatus`: the service as it was asked for, and the downtime that keeps it down.
  static func jsonStatus(of service: String, downtime found: Downtime?) -> String {
    let state = found == nil ? "up" : "down"
    return object([
      ("service", JSONText.quoted(service)), ("state", JSONText.quoted(state)),
      ("mark", found.map(json(of:)) ?? "null"),
    ])
  }

  /// `hashowdowned`: a downtime. `name` is its file's; times are seconds since 1970 or null.
  static func json(of downtime: Downtime) -> String {
    var (service, host, port): (String?, String?, Int?) = (nil, nil, nil)
    switch downtime.scope {
    case .everything: break
    case .service(let name): service = name
    case .instance(let name, let address, let number): (service, host, port) = (name, address, number)
    }
    return object([
      ("name", JSONText.quoted(downtime.scope.description)), ("service", service.map(JSONText.quoted) ?? "null"),
      ("host", host.map(JSONText.quoted) ?? "null"), ("port", port.map { "\($0)" } ?? "null"),
      ("reason", JSONText.quoted(downtime.reason)), ("creation", downtime.creation.flatMap(JSONText.number) ?? "null"),
      ("expiration", downtime.expiration.flatMap(JSONText.number) ?? "null"),
      ("by", downtime.setter.map(JSONText.quoted) ?? "null"),
    ])
  }

  /// `halist`: a service that was asked for, and what hacheck remembers of the last answer.
  static func jsonSeen(_ service: String, last: JSONValue?) -> String {
    object([("service", JSONText.quoted(service)), ("last_response", last?.description ?? "null")])
  }

  private static func object(_ members: [(String, String)]) -> String {
    "{" + members.map { "\"\($0.0)\": \($0.1)" }.joined(separator: ", ") + "}"
  }
}
