internal import SmartStack

/// Where a request's headers say that the instance is: `X-Haproxy-Server-State` first, then
/// `X-Nerve-Check-IP`.
struct ServerState: Equatable {
  /// nil when no header names one.
  var address: IPAddress?
  /// nil when the header names none.
  var port: Int?

  /// Reads `UP 2/3; address=10.0.0.5; port=31000; name=…; scur=13/22; qcur=0`, as HAProxy's
  /// `http-check send-state` sends it. Of a field given twice the last counts, an empty one is none.
  init(haproxy header: String) throws(Refusal) {
    for part in header.utf8.split(separator: UInt8(ascii: ";")) {
      let field = part.trimmedBlanks
      if let value = field.value(of: "address") {
        address = value.isEmpty ? nil : try ServerState.address(value, header: "X-Haproxy-Server-State")
      } else if let value = field.value(of: "port") {
        port = value.isEmpty ? nil : try ServerState.port(value)
      }
    }
  }

  /// Reads `X-Nerve-Check-IP: 10.0.0.5`; blank is none.
  init(nerve header: String) throws(Refusal) {
    let value = Substring(header).utf8.trimmedBlanks
    address = value.isEmpty ? nil : try ServerState.address(value, header: "X-Nerve-Check-IP")
  }

  private static func address(_ value: Substring.UTF8View, header: String) throws(Refusal) -> IPAddress {
    let text = String(Substring(value))
    guard let address = IPAddress(text)?.unmapped else {
      throw Refusal("\(header) names \(text.quoted), which is not an IP address")
    }
    return address
  }

  private static func port(_ value: Substring.UTF8View) throws(Refusal) -> Int {
    let digits = value.allSatisfy { $0.isDigit }
    guard digits, let port = Int(Substring(value)), port <= 65535 else {
      throw Refusal(
        "X-Haproxy-Server-State names port \(String(Substring(value)).quoted): 0...65535 are ports")
    }
    return port
  }
}

extension Substring.UTF8View {
  /// What follows `name=`, when this is that field; a second `=` makes it another.
  fileprivate func value(of name: StaticString) -> Substring.UTF8View? {
    guard let equals = firstIndex(of: UInt8(ascii: "=")) else { return nil }
    let isNamed = name.withUTF8Buffer { self[..<equals].elementsEqual($0) }
    let value = self[index(after: equals)...]
    guard isNamed, !value.contains(UInt8(ascii: "=")) else { return nil }
    return value.trimmedBlanks
  }
}
