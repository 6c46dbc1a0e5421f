/// The packets of a MySQL login, read and written. Numbers are little-endian.
enum MySQLPacket {
  static let okHeader: UInt8 = 0x00
  static let moreHeader: UInt8 = 0x01
  static let switchHeader: UInt8 = 0xfe
  static let errorHeader: UInt8 = 0xff

  /// Of a salt; a zero follows it on the wire.
  static let saltLength = 20
  private static let utf8: UInt8 = 0x21

  // MARK: From the server

  /// Reads the server's first packet, version 10 of the protocol; nil for anything else.
  /// - Returns: `plugin` is nil from servers that know one only.
  static func greeting(_ packet: [UInt8]) -> (salt: [UInt8], plugin: String?)? {
    guard packet.first == 10, let end = packet.firstIndex(of: 0) else { return nil }
    // After the version: connection id (4), salt (8), a zero, flags, character set, status, lengths (18), salt.
    let first = end + 1 + 4
    let second = first + 8 + 1 + 18
    guard packet.count >= second + saltLength - 8 else { return nil }
    let salt = Array(packet[first..<first + 8] + packet[second..<second + saltLength - 8])
    let name = packet.dropFirst(second + saltLength - 8).drop { $0 == 0 }.prefix { $0 != 0 }
    return (salt, name.isEmpty ? nil : String(decoding: name, as: UTF8.self))
  }

  /// Reads the request to prove the password by another plugin than the server greeted with; nil for anything else, also
  /// for the request of servers before 4.1, which is one byte.
  static func switchRequest(_ packet: [UInt8]) -> (plugin: String, salt: [UInt8])? {
    guard packet.first == switchHeader, let end = packet.dropFirst().firstIndex(of: 0) else { return nil }
    let salt = Array(packet[(end + 1)...].prefix(saltLength))
    return salt.count == saltLength ? (String(decoding: packet[1..<end], as: UTF8.self), salt) : nil
  }

  /// An error's number, state and message: `1045 (28000) Access denied for user …`.
  static func errorText(_ packet: [UInt8]) -> String {
    guard packet.count >= 3 else { return "an error without a number" }
    let number = Int(packet[1]) | Int(packet[2]) << 8
    var rest = packet.dropFirst(3)
    guard rest.first == UInt8(ascii: "#"), rest.count >= 6 else {
      return "\(number) \(String(decoding: rest, as: UTF8.self))"
    }
    let state = String(decoding: rest.dropFirst().prefix(5), as: UTF8.self)
    rest = rest.dropFirst(6)
    return "\(number) (\(state)) \(String(decoding: rest, as: UTF8.self))"
  }

  /// Whether a packet ends a list of columns or rows.
  static func isEnd(_ packet: [UInt8]) -> Bool { packet.first == 0xfe && packet.count < 9 }

  // MARK: To the server

  /// The answer to a greeting, as a client of 4.1 gives it.
  static func login(username: String, database: String?, plugin: MySQLPlugin, proof: [UInt8]) -> [UInt8] {
    // Long password, database, 4.1 protocol, secure connection, plugin authentication.
    let capabilities: UInt32 = 0x1 | (database == nil ? 0 : 0x8) | 0x200 | 0x8000 | 0x80000
    var packet = bytes(capabilities) + bytes(1 << 24) + [utf8] + [UInt8](repeating: 0, count: 23)
    packet += text(username) + [UInt8(clamping: proof.count)] + proof
    if let database { packet += text(database) }
    return packet + text(plugin.rawValue)
  }

  static let publicKeyRequest: [UInt8] = [2]
  static let quit: [UInt8] = [1]
  static let selectOne: [UInt8] = [3] + Array("select 1".utf8)

  /// Ended by a zero, so that none may stand in it.
  private static func text(_ text: String) -> [UInt8] { text.utf8.filter { $0 != 0 } + [0] }

  private static func bytes(_ value: UInt32) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
  }
}
