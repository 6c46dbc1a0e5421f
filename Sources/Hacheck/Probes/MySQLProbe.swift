internal import Reactor
internal import SmartStack
internal import YAMLConfig

/// Logs in to a MySQL or MariaDB server and quits.
///
/// Knows `mysql_native_password` and `caching_sha2_password`, over a connection without TLS.
struct MySQLProbe: Probe, ProbeSettings {
  let endpoint: Endpoint
  let username: String
  /// The password, which may be empty.
  var password = ""
  /// A database that must exist and be open to the user; nil for none.
  var database: String?
  /// Whether `select 1` must be answered with 1, besides the probe.
  var selectsOne = false
  /// The key for the password, for a `caching_sha2_password` server that has not seen the password lately.
  var serverKey = ServerKey.unknown
  var deadline = Duration.seconds(1)

  /// The RSA public key that the password is sent under.
  enum ServerKey: Hashable {
    /// No password is sent under any key: such a server counts as refusing.
    case unknown
    /// The server is asked for it. Whoever listens on that port in the server's place can read the password then.
    case retrieved
    /// A key from a PEM text.
    case known([UInt8])
  }

  @LoopActor func run(deadline: Duration) async -> ProbeResult {
    await ProbeResult.of(endpoint, deadline: deadline) { stream in
      var conversation = Conversation(stream: stream, probe: self)
      return try await conversation.run()
    }
  }
}

extension MySQLProbe {
  init(_ section: ConfigSection, target: ProbeTarget) throws(ConfigError) {
    endpoint = target.endpoint
    // The plug-ins that upstream's users had wrote two of the keys otherwise.
    let (user, name) = (try section.optionalString("user"), try section.optionalString("dbname"))
    username = try section.string("username", default: user)
    password = try section.string("password", default: password)
    database = try section.optionalString("database") ?? name
    selectsOne = true
    serverKey = try section.serverKey("server_public_key", default: serverKey)
    deadline = try section.probeTimeout(default: deadline)
  }
}

extension ConfigSection {
  /// `none`, `retrieve`, or the path of a PEM file.
  func serverKey(
    _ key: String, default fallback: MySQLProbe.ServerKey
  ) throws(ConfigError) -> MySQLProbe.ServerKey {
    switch try optionalString(key) {
    case nil: return fallback
    case "none"?: return .unknown
    case "retrieve"?: return .retrieved
    case let path?:
      do {
        return .known(try Files.read(path, limit: 64 << 10))
      } catch {
        throw self.error(at: key, "\(error); write none, retrieve, or the path of a PEM file")
      }
    }
  }
}

/// One connection's packets, from the greeting to the goodbye.
@LoopActor private struct Conversation {
  let stream: ByteStream
  let probe: MySQLProbe
  /// Number of the next packet; both sides count on together.
  var number: UInt8 = 0

  /// No packet of a login is longer, and none of `select 1`.
  private nonisolated static let longestPacket = 65_536
  /// A login has at most seven packets of the server's.
  private nonisolated static let mostPackets = 10

  mutating func run() async throws -> ProbeResult {
    try await logIn()
    if probe.selectsOne { try await selectOne() }
    number = 0
    try write(MySQLPacket.quit)
    try await stream.flush()
    return .healthy()
  }

  // MARK: Logging in

  private mutating func logIn() async throws {
    let packet = try await read()
    guard let greeting = MySQLPacket.greeting(packet) else {
      throw ProbeResult.notUnderstood("the greeting is not MySQL's")
    }
    // A plugin we do not know may still be another one than the user's: the server then asks to switch.
    var plugin = greeting.plugin.flatMap(MySQLPlugin.init) ?? .native
    var salt = greeting.salt
    let proof = try plugin.scramble(probe.password, salt: salt)
    try write(
      MySQLPacket.login(username: probe.username, database: probe.database, plugin: plugin, proof: proof))
    for _ in 0..<Conversation.mostPackets {
      let reply = try await read()
      switch reply.first {
      case MySQLPacket.okHeader: return
      case MySQLPacket.switchHeader:
        (plugin, salt) = try Conversation.wanted(reply)
        try write(plugin.scramble(probe.password, salt: salt))
      case MySQLPacket.moreHeader where plugin == .cachingSHA2:
        try await completeCachedLogin(reply, salt: salt)
      default: throw ProbeResult.notUnderstood("the answer to the login is not MySQL's")
      }
    }
    throw ProbeResult.notUnderstood("a login of more than \(Conversation.mostPackets) packets")
  }

  private static func wanted(_ packet: [UInt8]) throws(ProbeResult) -> (MySQLPlugin, [UInt8]) {
    guard let request = MySQLPacket.switchRequest(packet) else {
      throw .notUnderstood("the server wants a login in the manner of MySQL before 4.1")
    }
    guard let plugin = MySQLPlugin(rawValue: request.plugin) else {
      throw .notUnderstood(
        "the server wants a login by \(request.plugin.quoted); "
          + "known are mysql_native_password and caching_sha2_password")
    }
    return (plugin, request.salt)
  }

  /// The second half of `caching_sha2_password`: 3 for a proof that did, 4 for a server that needs the password.
  private mutating func completeCachedLogin(_ reply: [UInt8], salt: [UInt8]) async throws {
    switch reply.dropFirst().first {
    case 3 where reply.count == 2: return
    case 4 where reply.count == 2: break
    default: throw ProbeResult.notUnderstood("the answer to the login is not caching_sha2_password's")
    }
    switch probe.serverKey {
    case .unknown:
      throw ProbeResult.notUnderstood(
        "the server wants the password itself (caching_sha2_password); mysql_server_public_key says under which key")
    case .known(let key):
      try write(MySQLPlugin.encrypted(probe.password, salt: salt, key: key))
    case .retrieved:
      try write(MySQLPacket.publicKeyRequest)
      let answer = try await read()
      guard answer.first == MySQLPacket.moreHeader else {
        throw ProbeResult.notUnderstood("the answer to the request for a public key is not MySQL's")
      }
      try write(MySQLPlugin.encrypted(probe.password, salt: salt, key: Array(answer.dropFirst())))
    }
  }

  // MARK: Asking

  /// One column, its description, an end, one row with the text `1`, an end.
  private mutating func selectOne() async throws {
    number = 0
    try write(MySQLPacket.selectOne)
    guard try await read() == [1], !MySQLPacket.isEnd(try await read()), MySQLPacket.isEnd(try await read()),
      try await read() == [1, UInt8(ascii: "1")], MySQLPacket.isEnd(try await read())
    else { throw ProbeResult.notUnderstood("`select 1` was not answered with 1") }
  }

  // MARK: Packets

  /// - Throws: also a result, when the packet is an error.
  private mutating func read() async throws -> [UInt8] {
    let head = try await stream.read(exactly: 4)
    let length = Int(head[0]) | Int(head[1]) << 8 | Int(head[2]) << 16
    guard length <= Conversation.longestPacket else {
      throw StreamError.tooLong(stream.endpoint, limit: Conversation.longestPacket)
    }
    number = head[3] &+ 1
    let contents = try await stream.read(exactly: length)
    if contents.first == MySQLPacket.errorHeader {
      throw ProbeResult.refused(MySQLPacket.errorText(contents).oneLine())
    }
    return contents
  }

  private mutating func write(_ contents: [UInt8]) throws {
    let length = contents.count
    let head = [UInt8(length & 0xff), UInt8(length >> 8 & 0xff), UInt8(length >> 16 & 0xff), number]
    number &+= 1
    try stream.write(head + contents)
  }
}
