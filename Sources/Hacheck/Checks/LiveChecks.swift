internal import Reactor

/// One live check: whom to ask, and what for.
struct LiveCheck: Sendable {
  var `protocol`: CheckProtocol
  var endpoint: Endpoint
  /// Path and query string for HTTP.
  var target: String
  var headers: [HTTPHeader]
  var bodyLimit: Int
  var accounts: ProbeAccounts

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
    case .redis: await runRedis(deadline: deadline, clock: clock)
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

  private static func failure(_ error: any Error, after elapsed: Duration) -> CheckOutcome {
    let time = elapsed.seconds.twoDecimals
    if case StreamError.timedOut = error { return CheckOutcome(code: 503, "Connection timed out after \(time)s") }
    return CheckOutcome(code: 503, "Unexpected error \(error) after \(time)s")
  }

  // MARK: Conversations

  @LoopActor private func runSMTP(deadline: Duration, clock: LoopClock) async -> CheckOutcome {
    let start = clock.now
    let result = await SMTPProbe.check(endpoint, hello: accounts.smtpHello, deadline: deadline)
    return LiveCheck.outcome(result, after: clock.now - start)
  }

  @LoopActor private func runRedis(deadline: Duration, clock: LoopClock) async -> CheckOutcome {
    let start = clock.now
    let result = await RedisProbe.check(endpoint, credentials: accounts.redis, deadline: deadline)
    if case .refused(let words) = result { return CheckOutcome(code: 503, "Redis said \(words)") }
    return LiveCheck.outcome(result, after: clock.now - start)
  }

  /// In the words of the original's checks.
  private static func outcome(_ result: ProbeResult, after elapsed: Duration) -> CheckOutcome {
    switch result {
    case .healthy: CheckOutcome(code: 200, "Connected in \(elapsed.seconds.twoDecimals)s")
    case .unreachable(.closed): CheckOutcome(code: 503, "Peer unexpectedly closed connection")
    case .unreachable(let error): failure(error, after: elapsed)
    case .refused(let sentence), .notUnderstood(let sentence): CheckOutcome(code: 503, sentence)
    case .cancelled: CheckOutcome(code: 503, "The check was cancelled")
    }
  }

  @LoopActor private func runMySQL(deadline: Duration) async -> CheckOutcome {
    guard let login = accounts.mysql else {
      return CheckOutcome(code: 500, "No MySQL username/pasword in config file")
    }
    return switch await MySQLProbe.check(endpoint, login, deadline: deadline) {
    case .healthy: CheckOutcome(code: 200, "MySQL connect response: OK")
    case .refused(let words): CheckOutcome(code: 500, "MySQL sez \(words)")
    case .unreachable(.timedOut): CheckOutcome(code: 503, "MySQL timed out after \(deadline.seconds.twoDecimals)s")
    case let result: CheckOutcome(code: 503, "MySQL: \(result)")
    }
  }
}

/// As whom the checks introduce themselves.
struct ProbeAccounts: Sendable {
  /// nil when the configuration does not say.
  var mysql: MySQLProbe.Login?
  var redis: RedisProbe.Credentials?
  var smtpHello: String?

  init(_ configuration: HacheckConfiguration) {
    if let username = configuration.mysqlUsername, let password = configuration.mysqlPassword {
      var login = MySQLProbe.Login(username: username, password: password)
      login.serverKey = configuration.mysqlServerKey
      mysql = login
    }
    redis = configuration.redisPassword.map {
      RedisProbe.Credentials(username: configuration.redisUsername, password: $0)
    }
    smtpHello = configuration.smtpHello
  }
}
