internal import Reactor
internal import SmartStack
internal import YAMLConfig

/// Reads a mail server's greeting and says goodbye (RFC 5321).
struct SMTPProbe: Probe, ProbeSettings {
  let endpoint: Endpoint
  /// The name to introduce ourselves with by `EHLO`, which must then be answered with 250; nil says nothing between
  /// greeting and `QUIT`, as upstream does.
  var hello: String?
  /// Mail servers may look the client's name up before they greet it.
  var deadline = Duration.seconds(1)

  @LoopActor func run(deadline: Duration) async -> ProbeResult {
    await ProbeResult.of(endpoint, deadline: deadline) { stream in
      let greeting = try await readReply(stream)
      guard greeting.first == "2" else {
        // Polite towards a server that says 421 or 554 (§ 3.1): it waits for this.
        try? stream.write("QUIT\r\n")
        try? await stream.flush()
        throw ProbeResult.refused("Got unexpected greeting \(greeting.quoted)")
      }
      if let hello { try await say("EHLO \(hello)", expecting: "250", to: stream) }
      try await say("QUIT", expecting: "221", to: stream)
      return .healthy()
    }
  }

  @LoopActor private func say(_ command: String, expecting code: String, to stream: ByteStream) async throws {
    try stream.write(command + "\r\n")
    let reply = try await readReply(stream)
    guard reply.hasPrefix(code) else {
      throw ProbeResult.refused("Got unexpected \(command.prefix(4)) response \(reply.quoted)")
    }
  }

  /// The longest line of a reply is 512 bytes (§ 4.5.3.1.5); some servers know no bounds.
  private static let longestLine = 4096
  private static let mostLines = 100

  /// The last line of a reply; all but the last have a `-` after the code (§ 4.2.1).
  @LoopActor private func readReply(_ stream: ByteStream) async throws -> String {
    for _ in 0..<SMTPProbe.mostLines {
      let line = try await stream.readLine(limit: SMTPProbe.longestLine)
      if line.utf8.dropFirst(3).first != UInt8(ascii: "-") { return line }
    }
    throw ProbeResult.notUnderstood("a reply of more than \(SMTPProbe.mostLines) lines")
  }

  /// Whether a name can be sent with `EHLO`.
  static func isHostName(_ name: String) -> Bool {
    !name.isEmpty && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f }
  }
}

extension SMTPProbe {
  init(_ section: ConfigSection, target: ProbeTarget) throws(ConfigError) {
    endpoint = target.endpoint
    hello = try section.optionalString("hello")
    if let hello, !SMTPProbe.isHostName(hello) {
      throw section.error(at: "hello", "\(hello.quoted) is not a host name")
    }
    deadline = try section.probeTimeout(default: deadline)
  }
}
