internal import Reactor
internal import SmartStack
internal import YAMLConfig

/// Asks a Redis server for a `PONG`.
///
/// Anything else is a refusal in the server's own words: `NOAUTH`, `LOADING` and `MASTERDOWN` are servers that
/// clients cannot use now.
struct RedisProbe: Probe, ProbeSettings {
  let endpoint: Endpoint
  /// nil for the server's default user, and for servers without accounts.
  var username: String?
  /// nil does not log in.
  var password: String?
  /// The number of a database that must exist.
  var database = 0
  /// Looked up with `EXISTS`, whether it is there or not; a proxy answers `PING` by itself, and needs the server
  /// behind it for this.
  var key: String?
  var deadline = Duration.milliseconds(100)

  @LoopActor func run(deadline: Duration) async -> ProbeResult {
    await ProbeResult.of(endpoint, deadline: deadline) { stream in
      if let password {
        try await ask(["AUTH"] + [username].compactMap { $0 } + [password], of: stream, expecting: "+OK")
      }
      if database != 0 { try await ask(["SELECT", "\(database)"], of: stream, expecting: "+OK") }
      try await ask(["PING"], of: stream, expecting: "+PONG")
      if let key { try await ask(["EXISTS", key], of: stream, expecting: ":0", ":1") }
      return .healthy()
    }
  }

  /// No answer to these commands is longer.
  private static let longestLine = 4096

  @LoopActor private func ask(_ words: [String], of stream: ByteStream, expecting: String...) async throws {
    try stream.write(RedisProbe.command(words))
    let line = try await stream.readLine(limit: RedisProbe.longestLine)
    guard !expecting.contains(line) else { return }
    switch line.utf8.first {
    case UInt8(ascii: "-"): throw ProbeResult.refused(String(line.dropFirst()).oneLine())
    case UInt8(ascii: "+"): throw ProbeResult.refused("\(words[0]) was answered with \(line.quoted)")
    case nil, .some:
      throw ProbeResult.notUnderstood("\(words[0]) was answered with \(line.quoted), which is not Redis")
    }
  }

  /// A command in Redis' serialization protocol: an array of strings with their lengths, so that a password may hold
  /// any byte.
  static func command(_ words: [String]) -> String {
    words.reduce("*\(words.count)\r\n") { $0 + "$\($1.utf8.count)\r\n\($1)\r\n" }
  }
}

extension RedisProbe {
  init(_ section: ConfigSection, target: ProbeTarget) throws(ConfigError) {
    endpoint = target.endpoint
    username = try section.optionalString("username")
    password = try section.optionalString("password")
    database = try section.int("db", in: 0...1_000_000, default: database)
    // Upstream's, and never there.
    key = "nerve-redis-service-check"
    deadline = try section.probeTimeout(default: deadline)
  }
}
