public import Reactor
internal import SmartStack

/// Reads a mail server's greeting and says goodbye (RFC 5321).
@LoopActor public enum SMTPProbe {
  /// - Parameters:
  ///   - hello: the name to introduce ourselves with by `EHLO`, which must then be answered with 250; nil says
  ///     nothing between greeting and `QUIT`, as the original does.
  ///   - deadline: for all of it, connecting included.
  public static func check(_ endpoint: Endpoint, hello: String? = nil, deadline: Duration) async -> ProbeResult {
    await ProbeResult.of(endpoint, deadline: deadline) { stream in
      let greeting = try await readReply(stream)
      guard greeting.first == "2" else {
        // Polite towards a server that says 421 or 554 (§ 3.1): it waits for this.
        try? stream.write("QUIT\r\n")
        try? await stream.flush()
        throw ProbeResult.refused("Got unexpected greeting \(greeting.quoted)")
      }
      if let hello { try await say("EHLO \(hello)", code: "250", stream) }
      try await say("QUIT", code: "221", stream)
      return .healthy
    }
  }

  private static func say(_ command: String, code: String, _ stream: ByteStream) async throws {
    try stream.write(command + "\r\n")
    let reply = try await readReply(stream)
    guard reply.hasPrefix(code) else {
      throw ProbeResult.refused("Got unexpected \(command.prefix(4)) response \(reply.quoted)")
    }
  }

  /// The longest line of a reply is 512 bytes (§ 4.5.3.1.5); some servers know no bounds.
  private nonisolated static let longestLine = 4096
  private nonisolated static let mostLines = 100

  /// The last line of a reply; all but the last have a `-` after the code (§ 4.2.1).
  private static func readReply(_ stream: ByteStream) async throws -> String {
    for _ in 0..<mostLines {
      let line = try await stream.readLine(limit: longestLine)
      if line.utf8.dropFirst(3).first != UInt8(ascii: "-") { return line }
    }
    throw ProbeResult.notUnderstood("a reply of more than \(mostLines) lines")
  }
}
