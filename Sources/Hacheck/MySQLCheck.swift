internal import Reactor

/// The account that checks of MySQL log in with.
struct MySQLCredentials: Sendable {
  let username: String
  let password: String

  /// nil unless the configuration has both parts.
  init?(_ configuration: HacheckConfiguration) {
    guard let username = configuration.mysqlUsername, let password = configuration.mysqlPassword else { return nil }
    self.username = username
    self.password = password
  }
}

/// Logs in and quits: handshake version 10, `mysql_native_password`, as the original does.
@LoopActor struct MySQLCheck {
  let stream: ByteStream
  let credentials: MySQLCredentials

  /// No packet of a login is longer.
  private nonisolated static let longestPacket = 65_536

  /// The server's last word.
  func run() async throws -> CheckOutcome {
    let (_, greeting) = try await readPacket()
    if greeting.first == MySQLPacket.errorHeader { return MySQLCheck.said(greeting) }
    guard let salt = MySQLPacket.salt(greeting: greeting) else {
      return CheckOutcome(code: 503, "the greeting is not MySQL's")
    }
    try write(MySQLPacket.login(credentials, salt: salt), number: 1)
    var (number, reply) = try await readPacket()
    if reply.first == MySQLPacket.switchHeader, reply.count > 1 {
      guard let salt = MySQLPacket.salt(switchRequest: reply) else {
        return CheckOutcome(code: 500, "MySQL wants another login than mysql_native_password")
      }
      try write(MySQLPacket.scramble(credentials.password, salt: salt), number: number &+ 1)
      (number, reply) = try await readPacket()
    }
    guard reply.first == 0 else { return MySQLCheck.said(reply) }
    try write([1], number: 0)
    try await stream.flush()
    return CheckOutcome(code: 200, "MySQL connect response: OK")
  }

  private static func said(_ packet: [UInt8]) -> CheckOutcome {
    CheckOutcome(code: 500, "MySQL sez \(String(decoding: packet.dropFirst(3), as: UTF8.self))")
  }

  private func readPacket() async throws -> (number: UInt8, contents: [UInt8]) {
    let head = try await stream.read(exactly: 4)
    let length = Int(head[0]) | Int(head[1]) << 8 | Int(head[2]) << 16
    guard length <= MySQLCheck.longestPacket else {
      throw StreamError.tooLong(stream.endpoint, limit: MySQLCheck.longestPacket)
    }
    return (head[3], try await stream.read(exactly: length))
  }

  private func write(_ contents: [UInt8], number: UInt8) throws {
    let length = contents.count
    let head = [UInt8(length & 0xff), UInt8(length >> 8 & 0xff), UInt8(length >> 16 & 0xff), number]
    try stream.write(head + contents)
  }
}

/// What the packets of a login hold.
enum MySQLPacket {
  static let errorHeader: UInt8 = 0xff
  static let switchHeader: UInt8 = 0xfe

  private static let plugin = Array("mysql_native_password".utf8)
  /// Long password, 4.1 protocol, secure connection, plugin authentication.
  private static let capabilities: UInt32 = 0x1 | 0x200 | 0x8000 | 0x80000
  private static let utf8: UInt8 = 0x21
  private static let saltLength = 20

  /// The 20 bytes that the password is scrambled with, from a greeting of version 10; nil for anything else.
  static func salt(greeting: [UInt8]) -> [UInt8]? {
    guard greeting.first == 10, let end = greeting.firstIndex(of: 0) else { return nil }
    // After the version: connection id (4), salt (8), a zero, flags, character set, status, lengths (18), salt.
    let first = end + 1 + 4
    let second = first + 8 + 1 + 18
    guard greeting.count >= second + saltLength - 8 else { return nil }
    return Array(greeting[first..<first + 8] + greeting[second..<second + saltLength - 8])
  }

  /// The same, when the server asks for this very plugin in place of the one it greeted with.
  static func salt(switchRequest packet: [UInt8]) -> [UInt8]? {
    let rest = packet.dropFirst()
    guard rest.starts(with: plugin + [0]) else { return nil }
    let salt = Array(rest.dropFirst(plugin.count + 1).prefix(saltLength))
    return salt.count == saltLength ? salt : nil
  }

  static func login(_ credentials: MySQLCredentials, salt: [UInt8]) -> [UInt8] {
    let scrambled = scramble(credentials.password, salt: salt)
    var packet = littleEndian(capabilities) + littleEndian(1 << 24) + [utf8] + [UInt8](repeating: 0, count: 23)
    packet += Array(credentials.username.utf8) + [0, UInt8(scrambled.count)] + scrambled
    return packet + plugin + [0]
  }

  /// `SHA1(password) XOR SHA1(salt + SHA1(SHA1(password)))`; nothing at all for no password.
  static func scramble(_ password: String, salt: [UInt8]) -> [UInt8] {
    guard !password.isEmpty else { return [] }
    let once = SHA1.hash(Array(password.utf8))
    return zip(once, SHA1.hash(salt + SHA1.hash(once))).map { $0 ^ $1 }
  }

  private static func littleEndian(_ value: UInt32) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
  }
}

/// SHA-1 (FIPS 180-4), which `mysql_native_password` is made of; of no use for anything that must be safe.
enum SHA1 {
  static func hash(_ message: [UInt8]) -> [UInt8] {
    var state: [UInt32] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0]
    var padded = message + [0x80]
    while padded.count % 64 != 56 { padded.append(0) }
    padded += bigEndian(UInt64(message.count) * 8)
    for start in stride(from: 0, to: padded.count, by: 64) { mix(padded[start..<start + 64], into: &state) }
    return state.flatMap { bigEndian($0) }
  }

  private static func mix(_ block: ArraySlice<UInt8>, into state: inout [UInt32]) {
    var words = stride(from: block.startIndex, to: block.endIndex, by: 4).map { index in
      block[index..<index + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    }
    for index in 16..<80 {
      words.append(rotate(words[index - 3] ^ words[index - 8] ^ words[index - 14] ^ words[index - 16], 1))
    }
    var (a, b, c, d, e) = (state[0], state[1], state[2], state[3], state[4])
    for (index, word) in words.enumerated() {
      let (choice, constant): (UInt32, UInt32) =
        switch index {
        case 0..<20: (b & c | ~b & d, 0x5a82_7999)
        case 20..<40: (b ^ c ^ d, 0x6ed9_eba1)
        case 40..<60: (b & c | b & d | c & d, 0x8f1b_bcdc)
        default: (b ^ c ^ d, 0xca62_c1d6)
        }
      (a, b, c, d, e) = (rotate(a, 5) &+ choice &+ e &+ constant &+ word, a, rotate(b, 30), c, d)
    }
    for (index, value) in [a, b, c, d, e].enumerated() { state[index] &+= value }
  }

  private static func rotate(_ value: UInt32, _ count: UInt32) -> UInt32 { value << count | value >> (32 - count) }

  private static func bigEndian(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.bigEndian) { Array($0) }
  }
}
