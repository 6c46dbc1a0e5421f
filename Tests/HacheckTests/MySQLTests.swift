import Reactor
import TestSupport
import Testing

@testable import Hacheck

/// What MySQL servers say, by the protocol's public description; real ones are in ``RealServerTests``.
@Suite struct MySQLTests {
  private nonisolated static let salt = Array("abcdefghijklmnopqrst".utf8)

  /// A packet with its head.
  private static func packet(_ number: UInt8, _ contents: [UInt8]) -> [UInt8] {
    let head = [UInt8(contents.count & 0xff), UInt8(contents.count >> 8), 0, number]
    return head + contents
  }

  private static func greeting(_ plugin: String, salt: [UInt8] = salt) -> [UInt8] {
    var contents: [UInt8] = [10]
    contents += Array("8.4.0".utf8)
    contents += [0, 1, 0, 0, 0]
    contents += salt[..<8]
    contents += [0]
    contents += [UInt8](repeating: 1, count: 18)
    contents += salt[8...]
    contents += [0]
    contents += Array(plugin.utf8)
    return packet(0, contents + [0])
  }

  private static func switching(_ plugin: String) -> [UInt8] {
    var contents: [UInt8] = [0xfe]
    contents += Array(plugin.utf8)
    contents += [0]
    contents += salt
    return packet(2, contents + [0])
  }

  private static let ok: [UInt8] = [0, 0, 0, 2, 0, 0, 0]

  private static func readPacket(_ peer: LoopbackConnection, _ rest: inout [UInt8]) -> [UInt8] {
    while true {
      let length = rest.count < 4 ? 0 : Int(rest[0]) | Int(rest[1]) << 8
      if rest.count >= 4 + length {
        defer { rest.removeFirst(4 + length) }
        return Array(rest[4..<4 + length])
      }
      let piece = peer.receive()
      if piece.isEmpty { return [] }
      rest += piece
    }
  }

  /// Says each of `words` (with heads) in turn, and reads one packet after each; what it read.
  private static func server(_ words: [[UInt8]]) -> (LoopbackServer, Locked<[[UInt8]]>) {
    let heard = Locked<[[UInt8]]>([])
    let server = LoopbackServer { peer in
      var rest: [UInt8] = []
      for word in words {
        peer.send(word)
        let packet = readPacket(peer, &rest)
        heard.withLock { $0.append(packet) }
      }
    }
    return (server, heard)
  }

  @LoopActor private static func check(
    _ server: LoopbackServer, key: MySQLProbe.ServerKey = .unknown, password: String = "p", query: Bool = false
  ) async -> ProbeResult {
    await MySQLProbe(
      endpoint: .tcp(host: "127.0.0.1", port: server.port), username: "u", password: password, selectsOne: query,
      serverKey: key
    ).run(deadline: .seconds(300))
  }

  private static func hex(_ bytes: [UInt8]) -> String {
    bytes.map { String(UInt16($0) + 256, radix: 16).dropFirst() }.joined()
  }

  // Proofs of the password `p` with the salt above, computed by another implementation of the hashes.
  private static let nativeProof = "92982f1d0d47ce13bc946175aeedd35f1a514d3d"
  private static let sha2Proof = "fa54c48511635baf90f6c9405e78dc59a90729d855c854b886ebdb665efab77b"

  @Test @LoopActor func mysqlNeedsAnAccount() async throws {
    let answer = try await ServiceFixture().get("/mysql/db/3306")
    #expect(answer.status == 500)
    #expect(answer.text == "No MySQL username/pasword in config file")
  }

  @Test func passwordsAreScrambled() throws {
    #expect(MySQLTests.hex(try MySQLPlugin.native.scramble("p", salt: MySQLTests.salt)) == MySQLTests.nativeProof)
    #expect(MySQLTests.hex(try MySQLPlugin.cachingSHA2.scramble("p", salt: MySQLTests.salt)) == MySQLTests.sha2Proof)
    #expect(try MySQLPlugin.native.scramble("", salt: []).isEmpty)
  }

  // MARK: caching_sha2_password

  @Test @LoopActor func aPasswordSeenLatelyIsProven() async throws {
    let reply = MySQLTests.packet(2, [1, 3]) + MySQLTests.packet(3, MySQLTests.ok)
    let (server, heard) = MySQLTests.server([MySQLTests.greeting("caching_sha2_password"), reply])
    #expect(await MySQLTests.check(server) == .healthy())
    try await eventually("the server has heard all") { heard.withLock { $0.count } == 2 }
    let packets = heard.withLock { $0 }
    let login = MySQLTests.hex(packets[0])
    #expect(login.contains("7500" + "20" + MySQLTests.sha2Proof), "user, length, proof")
    #expect(login.hasSuffix(MySQLTests.hex(Array("caching_sha2_password".utf8) + [0])))
    #expect(packets[1] == [1], "quit")
  }

  @Test(arguments: [
    ("mysql_native_password", "caching_sha2_password", sha2Proof),
    ("caching_sha2_password", "mysql_native_password", nativeProof),
    ("auth_of_tomorrow", "mysql_native_password", nativeProof),
  ]) @LoopActor func aServerMaySwitch(_ greeted: String, _ wanted: String, _ proof: String) async throws {
    let (server, heard) = MySQLTests.server([
      MySQLTests.greeting(greeted), MySQLTests.switching(wanted), MySQLTests.packet(4, MySQLTests.ok),
    ])
    #expect(await MySQLTests.check(server) == .healthy())
    #expect(MySQLTests.hex(heard.withLock { $0 }[1]) == proof)
  }

  @Test(arguments: [true, false]) @LoopActor func aPasswordNotSeenLatelyGoesUnderTheServersKey(_ isKnown: Bool)
    async throws
  {
    let folder = TemporaryDirectory()
    let (secret, encrypted) = ("\(folder.path)/secret.pem", "\(folder.path)/encrypted")
    _ = try await ChildProcess.run(
      "/usr/bin/openssl", arguments: ["genrsa", "-out", secret, "2048"], deadline: .seconds(300))
    let key = try await ChildProcess.run(
      "/usr/bin/openssl", arguments: ["rsa", "-in", secret, "-pubout"], deadline: .seconds(300)
    ).output
    let asking = MySQLTests.packet(2, [1, 4])
    let words =
      [MySQLTests.greeting("caching_sha2_password"), asking] + (isKnown ? [] : [MySQLTests.packet(4, [1] + key)])
      + [MySQLTests.packet(6, MySQLTests.ok)]
    let (server, heard) = MySQLTests.server(words)
    let password = "correct horse battery staple"
    #expect(await MySQLTests.check(server, key: isKnown ? .known(key) : .retrieved, password: password) == .healthy())
    let packets = heard.withLock { $0 }
    if !isKnown { #expect(packets[1] == [2]) }
    try Files.write(packets[isKnown ? 1 : 2], to: encrypted, mode: 0o600, sync: false)
    let decrypted = try await ChildProcess.run(
      "/usr/bin/openssl",
      arguments: ["pkeyutl", "-decrypt", "-inkey", secret, "-in", encrypted, "-pkeyopt", "rsa_padding_mode:oaep"],
      deadline: .seconds(300)
    ).output
    let plain = decrypted.enumerated().map { $1 ^ MySQLTests.salt[$0 % 20] }
    #expect(plain == Array(password.utf8) + [0])
  }

  /// Logins that succeed, as the server's packets.
  static let conversations: [[[UInt8]]] = [
    [greeting("mysql_native_password"), packet(2, ok)],
    [greeting("caching_sha2_password"), packet(2, [1, 3]), packet(3, ok)],
    [greeting("caching_sha2_password"), switching("mysql_native_password"), packet(4, ok)],
  ]

  // MARK: What else servers say

  static let odd: [(what: String, words: [[UInt8]], result: ProbeResult)] = [
    (
      "needs the password", [greeting("caching_sha2_password"), packet(2, [1, 4])],
      .notUnderstood(
        "the server wants the password itself (caching_sha2_password); mysql_server_public_key says under which key")
    ),
    (
      "no plugin of ours", [greeting("x"), switching("dialog")],
      .notUnderstood(
        "the server wants a login by `dialog`; known are mysql_native_password and caching_sha2_password")
    ),
    (
      "an old server", [greeting("x"), packet(2, [0xfe])],
      .notUnderstood("the server wants a login in the manner of MySQL before 4.1")
    ),
    (
      "too many", [packet(0, [0xff, 0x10, 0x04] + Array("#08004Too many connections".utf8))],
      .refused("1040 (08004) Too many connections")
    ),
    (
      "blocked, without a state", [packet(0, [0xff, 0x69, 0x04] + Array("Host is\nblocked".utf8))],
      .refused("1129 Host is\\nblocked")
    ),
    ("an error cut short", [packet(0, [0xff])], .refused("an error without a number")),
    ("another protocol", [packet(0, [9, 9])], .notUnderstood("the greeting is not MySQL's")),
    ("an empty greeting", [packet(0, [])], .notUnderstood("the greeting is not MySQL's")),
    (
      "an empty answer", [greeting("x"), packet(2, [])], .notUnderstood("the answer to the login is not MySQL's")
    ),
    (
      "more of what was not begun", [greeting("mysql_native_password"), packet(2, [1, 4])],
      .notUnderstood("the answer to the login is not MySQL's")
    ),
    (
      "more of another kind", [greeting("caching_sha2_password"), packet(2, [1, 9])],
      .notUnderstood("the answer to the login is not caching_sha2_password's")
    ),
    (
      "switches without end",
      [greeting("x"), [UInt8](Array(repeating: switching("mysql_native_password"), count: 11).joined())],
      .notUnderstood("a login of more than 10 packets")
    ),
  ]

  @Test(arguments: odd)
  @LoopActor func everyAnswerHasItsResult(_ c: (what: String, words: [[UInt8]], result: ProbeResult)) async throws {
    #expect(await MySQLTests.check(MySQLTests.server(c.words).0) == c.result, "\(c.what)")
  }

  @Test(arguments: [
    [UInt8](), [1, 2], [0xff, 0xff, 0xff, 0], [0x49, 0, 0, 0, 10], Array("SSH-2.0-OpenSSH_9.2\r\n".utf8),
  ]) @LoopActor func whatIsCutShortOrTooLongIsUnreachable(_ bytes: [UInt8]) async throws {
    let server = LoopbackServer { $0.send(bytes) }
    guard case .unreachable = await MySQLTests.check(server) else {
      throw ServerTrouble(description: "\(bytes) counts as an answer")
    }
  }

  @Test(arguments: ["not a key", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", ""])
  @LoopActor func aBadKeyIsSaid(_ key: String) async throws {
    let (server, _) = MySQLTests.server([
      MySQLTests.greeting("caching_sha2_password"), MySQLTests.packet(2, [1, 4]),
      MySQLTests.packet(4, [1] + Array(key.utf8)),
    ])
    #expect(
      await MySQLTests.check(server, key: .retrieved)
        == .notUnderstood("the MySQL server's public key is not an RSA key that fits the password"))
  }

  @Test @LoopActor func selectOneMustBeAnsweredWithOne() async throws {
    let two: [[UInt8]] = [[1], [3, 0x64], [0xfe, 0, 0, 2, 0], [1, 0x32], [0xfe, 0, 0, 2, 0]]
    let rows = two.enumerated().flatMap { MySQLTests.packet(UInt8($0 + 1), $1) }
    let (server, _) = MySQLTests.server([
      MySQLTests.greeting("mysql_native_password"), MySQLTests.packet(2, MySQLTests.ok), rows,
    ])
    #expect(await MySQLTests.check(server, query: true) == .notUnderstood("`select 1` was not answered with 1"))
  }
}
