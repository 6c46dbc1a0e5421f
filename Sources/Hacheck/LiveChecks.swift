internal import Reactor

/// One live check: whom to ask, and what for.
struct LiveCheck: Sendable {
  var `protocol`: CheckProtocol
  var endpoint: Endpoint
  /// Path and query string for HTTP.
  var target: String
  var headers: [HTTPHeader]
  var bodyLimit: Int
  /// Who asks MySQL; nil when the configuration does not say.
  var mysql: MySQLCredentials?

  /// The port that is asked.
  var port: Int {
    if case .tcp(_, let port) = endpoint { port } else { 0 }
  }

  /// Asks. Always answers, and within `deadline`.
  @LoopActor func run(deadline: Duration, clock: LoopClock) async -> CheckOutcome {
    switch `protocol` {
    case .http, .https: await runHTTP(deadline: deadline)
    case .tcp: await runTCP(deadline: deadline, clock: clock)
    case .smtp: await runSMTP(deadline: deadline, clock: clock)
    case .mysql: await runMySQL(deadline: deadline)
    case .spool: CheckOutcome(code: 200, body: [])
    }
  }

  // MARK: HTTP

  @LoopActor private func runHTTP(deadline: Duration) async -> CheckOutcome {
    // Certificates are not verified, as in the original: the question is whether the service answers.
    let tls = `protocol` == .https ? TLSOptions(serverName: nil, verify: false) : nil
    let request = HTTPRequest(endpoint: endpoint, tls: tls, target: target, headers: headers)
    do {
      let limits = HTTPClientLimits(maxBodyBytes: bodyLimit)
      let response = try await HTTPClient.send(request, deadline: deadline, limits: limits)
      return CheckOutcome(code: response.status, body: response.body)
    } catch {
      return CheckOutcome(code: 599, "\(error)")
    }
  }

  // MARK: TCP

  @LoopActor private func runTCP(deadline: Duration, clock: LoopClock) async -> CheckOutcome {
    let start = clock.now
    do {
      try await ByteStream.connect(to: endpoint, deadline: deadline).close()
      return CheckOutcome(code: 200, "Connected in \((clock.now - start).seconds.twoDecimals)s")
    } catch {
      return LiveCheck.failure(error, after: clock.now - start)
    }
  }

  // MARK: SMTP (RFC 5321)

  /// The longest line of a reply is 512 bytes (§ 4.5.3.1.5); some servers know no bounds.
  private static let longestLine = 4096
  private static let mostLines = 100

  @LoopActor private func runSMTP(deadline: Duration, clock: LoopClock) async -> CheckOutcome {
    let start = clock.now
    do {
      let stream = try await ByteStream.connect(to: endpoint, deadline: deadline)
      defer { stream.close() }
      _ = try await LiveCheck.readReply(stream)
      try stream.write("QUIT\r\n")
      let reply = try await LiveCheck.readReply(stream)
      guard reply.hasPrefix("221") else {
        return CheckOutcome(code: 503, "Got unexpected QUIT response \(reply.quotedForPeople)")
      }
      return CheckOutcome(code: 200, "Connected in \((clock.now - start).seconds.twoDecimals)s")
    } catch StreamError.closed {
      return CheckOutcome(code: 503, "Peer unexpectedly closed connection")
    } catch {
      return LiveCheck.failure(error, after: clock.now - start)
    }
  }

  /// The last line of a reply; all but the last have a `-` after the code (§ 4.2.1).
  @LoopActor private static func readReply(_ stream: ByteStream) async throws -> String {
    for _ in 0..<mostLines {
      let line = try await stream.readLine(limit: longestLine)
      if line.utf8.dropFirst(3).first != UInt8(ascii: "-") { return line }
    }
    return "a reply of more than \(mostLines) lines"
  }

  // MARK: MySQL

  @LoopActor private func runMySQL(deadline: Duration) async -> CheckOutcome {
    guard let mysql else { return CheckOutcome(code: 500, "No MySQL username/pasword in config file") }
    do {
      let stream = try await ByteStream.connect(to: endpoint, deadline: deadline)
      defer { stream.close() }
      return try await MySQLCheck(stream: stream, credentials: mysql).run()
    } catch StreamError.timedOut {
      return CheckOutcome(code: 503, "MySQL timed out after \(deadline.seconds.twoDecimals)s")
    } catch {
      return CheckOutcome(code: 503, "MySQL: \(error)")
    }
  }

  private static func failure(_ error: any Error, after elapsed: Duration) -> CheckOutcome {
    let time = elapsed.seconds.twoDecimals
    if case StreamError.timedOut = error { return CheckOutcome(code: 503, "Connection timed out after \(time)s") }
    return CheckOutcome(code: 503, "Unexpected error \(error) after \(time)s")
  }
}
