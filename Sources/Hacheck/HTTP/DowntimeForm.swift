internal import Reactor
internal import SmartStack

extension FormBody {
  /// A year; longer is no end.
  static let longestDowntime = 31_536_000.0

  /// The change that a form of hacheck's page asks for.
  ///
  /// Fields: `mark` (`NAME`, `NAME:PORT`, `NAME:HOST:PORT` or `all`), `status` (`up` or `down`), `reason`, and
  /// `duration` in seconds, empty for no end.
  /// - Parameter peer: the address that asks.
  func downtimeChange(now: Double, from peer: String? = nil) throws(Refusal) -> (
    scope: SpoolScope, request: SpoolRequest
  ) {
    guard let name = try text("mark"), !name.isEmpty else { throw Refusal("which service? `mark` is missing") }
    guard SpoolDirectory.isName(name) else { throw Refusal("\(name.quoted) cannot have a downtime") }
    let scope = SpoolScope(fileName: name)
    switch try text("status") {
    case "up": return (scope, .up)
    case "down":
      try FormBody.check(scope, named: name)
      guard let reason = try text("reason"), !reason.isEmpty else {
        throw Refusal("a reason is needed: others will ask why \(name) is down")
      }
      return (scope, .down(reason: reason, expiration: try downtimeEnd(now: now), creation: nil, setter: peer))
    default: throw Refusal("status must be up or down")
    }
  }

  /// Downtimes of any name can be lifted; only those that a question can meet are set.
  private static func check(_ scope: SpoolScope, named name: String) throws(Refusal) {
    if case .everything = scope { return }
    let (service, rest) = name[...].cut(at: ":")
    guard service.utf8.allSatisfy(CheckPath.isServiceByte), !service.isEmpty, service != ".", service != ".." else {
      throw Refusal("\(service.description.quoted) is not a service name: letters, digits, `.`, `_`, `-`")
    }
    guard rest != nil else { return }
    guard case .instance(_, let host, let port) = scope, (1...65535).contains(port),
      host.map({ IPAddress($0) != nil }) ?? true
    else { throw Refusal("\(name.quoted) is not a downtime: NAME, NAME:PORT, NAME:ADDRESS:PORT and all are") }
  }

  private func downtimeEnd(now: Double) throws(Refusal) -> Double? {
    guard let text = try text("duration"), !text.isEmpty else { return nil }
    guard let seconds = Double(decimal: text), seconds > 0, seconds <= FormBody.longestDowntime else {
      throw Refusal("`duration` is \(text.quoted); seconds up to a year are expected, or nothing for no end")
    }
    return now + seconds
  }
}
