public import Reactor
internal import SmartStack

/// Asks a Redis server for a `PONG`.
///
/// Anything else is a refusal in the server's own words: `NOAUTH`, `LOADING` and `MASTERDOWN` are servers that
/// clients cannot use now.
@LoopActor public enum RedisProbe {
  /// Who asks; servers without accounts know a password only.
  public struct Credentials: Sendable, Equatable {
    /// nil for the server's default user.
    public var username: String?
    /// The user's password.
    public var password: String

    /// An account; see the properties.
    public init(username: String? = nil, password: String) {
      self.username = username
      self.password = password
    }
  }

  /// Logs in if there are credentials, selects the database if it is not the first, and asks.
  /// - Parameters:
  ///   - database: the number of a database that must exist.
  ///   - key: asked for with `EXISTS`, whether it is there or not; a proxy needs the server behind it for that.
  ///   - deadline: for all of it, connecting included.
  public static func check(
    _ endpoint: Endpoint, credentials: Credentials? = nil, database: Int = 0, lookingUp key: String? = nil,
    deadline: Duration
  ) async -> ProbeResult {
    await ProbeResult.of(endpoint, deadline: deadline) { stream in
      if let credentials {
        try await ask(stream, ["AUTH"] + [credentials.username].compactMap { $0 } + [credentials.password], "+OK")
      }
      if database != 0 { try await ask(stream, ["SELECT", "\(database)"], "+OK") }
      try await ask(stream, ["PING"], "+PONG")
      if let key { try await ask(stream, ["EXISTS", key], ":0", ":1") }
      return .healthy
    }
  }

  /// No answer to these commands is longer.
  private nonisolated static let longestLine = 4096

  private static func ask(_ stream: ByteStream, _ words: [String], _ expected: String...) async throws {
    try stream.write(command(words))
    let line = try await stream.readLine(limit: longestLine)
    guard !expected.contains(line) else { return }
    switch line.utf8.first {
    case UInt8(ascii: "-"): throw ProbeResult.refused(String(line.dropFirst()).oneLine())
    case UInt8(ascii: "+"): throw ProbeResult.refused("\(words[0]) was answered with \(line.quoted)")
    default:
      throw ProbeResult.notUnderstood("\(words[0]) was answered with \(line.quoted), which is not Redis")
    }
  }

  /// A command in Redis' serialization protocol: an array of strings with their lengths, so that any byte may
  /// stand in a password.
  nonisolated static func command(_ words: [String]) -> String {
    words.reduce("*\(words.count)\r\n") { $0 + "$\($1.utf8.count)\r\n\($1)\r\n" }
  }
}
