import SmartStack
import TestSupport

/// A znode as somebody who means harm, or a broken writer, may leave it; some are valid.
struct HostileZnode {
  var name: String
  var data: [UInt8]

  /// What the watcher makes of it: nil where it is skipped.
  var backend: Backend? {
    do throws(OperatorError) {
      if let decoded = try RegistrationCodec.decode(name: name) { return decoded.backend }
      return try RegistrationCodec.decode(payload: data, name: name).backend
    } catch {
      return nil
    }
  }

  private static let pieces = [
    "a", "host", "10.0.0.1", "::1", "2001:db8::1", "example.com", " ", "\t", "\n", "\r\n", "\u{b}", "\u{0}", "\u{85}",
    "\u{2028}", "#", "\"", "'", "\\", ";", "$", "${PATH}", "%{host}", "%", "<<", "|", "é", "🎈", "/", "unix@", "@", "*",
    ":", ".", "-", "_", "{", "}", "=", "check", "backup", "id 7", "weight 5", "disabled", "cookie x", "inter 2s",
    "frontend evil", "\nfrontend evil\n\tbind 127.0.0.1:6660\n", "server x 10.9.9.9:1", "global", "80", "-1", "\u{7f}",
    ";shutdown sessions server web/good1_10.1.0.1:80", "\nset server web/good1_10.1.0.1:80 state maint\n", "good1",
    "track a/b", "source 10.0.0.1", "resolvers r", "init-addr none", "observe layer7", "\u{1b}[2J",
  ]
  private static let keys = [
    "host", "port", "name", "weight", "haproxy_server_options", "labels", "id", "haproxy_server_id", "extra",
  ]

  init(using dice: inout SeededGenerator) {
    var data = Array(HostileZnode.object(&dice).utf8)
    switch Int.random(in: 0..<10, using: &dice) {
    case 0: data = Array(data.prefix(Int.random(in: 0...data.count, using: &dice)))
    case 1:
      for _ in 0..<3 where !data.isEmpty {
        data[Int.random(in: 0..<data.count, using: &dice)] = UInt8.random(in: 0...255, using: &dice)
      }
    case 2: data = (0..<Int.random(in: 0...64, using: &dice)).map { _ in UInt8.random(in: 0...255, using: &dice) }
    default: break
    }
    self.data = data
    switch Int.random(in: 0..<6, using: &dice) {
    case 0: name = RegistrationCodec.pathEncodedName(payload: data) + "_0000000001"
    case 1: name = HostileZnode.text(&dice)
    default: name = "i-\(Int.random(in: 0...99, using: &dice))_000000000\(Int.random(in: 0...9, using: &dice))"
    }
  }

  private static func object(_ dice: inout SeededGenerator) -> String {
    var members: [String] = []
    for key in keys where Int.random(in: 0..<8, using: &dice) > 0 {
      members.append(JSONText.quoted(key) + ":" + value(for: key, &dice))
    }
    return "{" + members.joined(separator: ",") + "}"
  }

  /// A proper value half the time, so that the harm in another one gets far.
  private static func value(for key: String, _ dice: inout SeededGenerator) -> String {
    let isProper = Int.random(in: 0..<3, using: &dice) > 0
    switch key {
    case "host" where isProper:
      return "\"10.2.\(Int.random(in: 0...9, using: &dice)).\(Int.random(in: 1...99, using: &dice))\""
    case "port" where isProper: return String(Int.random(in: 1...65535, using: &dice))
    case "name" where isProper: return "\"n\(Int.random(in: 0...999, using: &dice))\""
    case "weight" where isProper: return String(Int.random(in: 0...256, using: &dice))
    case "labels" where isProper: return #"{"a":"b"}"#
    case "haproxy_server_options" where isProper: return "\"check\""
    default: break
    }
    switch Int.random(in: 0..<8, using: &dice) {
    case 0: return String(Int.random(in: -100_000...100_000, using: &dice))
    case 1:
      return ["null", "true", "[]", "{}", "1e400", "-0", "0.5", "99999999999999999999"].randomElement(using: &dice)
        ?? ""
    case 2: return String(repeating: "[", count: Int.random(in: 1...200, using: &dice))
    case 3: return JSONText.quoted(String(repeating: "x", count: Int.random(in: 1...5000, using: &dice)))
    default: return JSONText.quoted(text(&dice))
    }
  }

  private static func text(_ dice: inout SeededGenerator) -> String {
    (0..<Int.random(in: 0...4, using: &dice)).map { _ in pieces.randomElement(using: &dice) ?? "" }.joined()
  }
}
