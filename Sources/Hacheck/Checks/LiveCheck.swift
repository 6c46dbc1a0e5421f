internal import Reactor

/// One live check: the probe, and upstream's words for its result.
struct LiveCheck {
  let `protocol`: CheckProtocol
  let endpoint: Endpoint
  /// nil when there is nothing to ask, or nothing to ask with.
  let probe: (any Probe)?
  /// What to say where there is an account and the server is not one that gets it; nil where it does.
  private let stranger: String?

  /// - Parameters:
  ///   - target: path and query string for HTTP.
  ///   - headers, connection: for HTTP.
  init(
    _ protocol: CheckProtocol, at endpoint: Endpoint, target: String, headers: [HTTPHeader],
    connection: KeptConnection? = nil, configuration: HacheckConfiguration
  ) {
    self.protocol = `protocol`
    self.endpoint = endpoint
    stranger = LiveCheck.stranger(at: endpoint, protocol: `protocol`, configuration: configuration)
    switch `protocol` {
    case .http, .https:
      // Certificates are not verified, as upstream: the question is whether the service answers.
      let tls = `protocol` == .https ? TLSOptions(serverName: nil, verify: false) : nil
      probe = HTTPProbe(
        HTTPRequest(endpoint: endpoint, tls: tls, target: target, headers: headers, connection: connection),
        limits: HTTPClientLimits(maxBodyBytes: configuration.bodyLimit))
    case .tcp: probe = TCPProbe(endpoint: endpoint)
    case .smtp: probe = SMTPProbe(endpoint: endpoint, hello: configuration.smtpHello)
    case .redis:
      probe = RedisProbe(
        endpoint: endpoint, username: stranger == nil ? configuration.redisUsername : nil,
        password: stranger == nil ? configuration.redisPassword : nil)
    case .mysql:
      guard stranger == nil, let username = configuration.mysqlUsername, let password = configuration.mysqlPassword
      else {
        probe = nil
        return
      }
      probe = MySQLProbe(
        endpoint: endpoint, username: username, password: password, serverKey: configuration.mysqlServerKey)
    case .spool: probe = nil
    }
  }

  private static func stranger(
    at endpoint: Endpoint, protocol kind: CheckProtocol, configuration: HacheckConfiguration
  ) -> String? {
    let (key, isKnown): (String, Bool)
    switch kind {
    case .mysql where configuration.mysqlPassword != nil:
      (key, isKnown) = ("mysql_servers", configuration.mysqlServers.contains(endpoint))
    case .redis where configuration.redisPassword != nil:
      (key, isKnown) = ("redis_servers", configuration.redisServers.contains(endpoint))
    case .http, .https, .tcp, .smtp, .spool, .mysql, .redis: return nil
    }
    return isKnown ? nil : "hacheck does not log in at \(endpoint): \(key) does not name it"
  }

  /// Asks. Always answers, and within `deadline`.
  @LoopActor func run(deadline: Duration, clock: LoopClock) async -> CheckOutcome {
    guard let probe else {
      return `protocol` == .spool
        ? .up : CheckOutcome(code: 500, stranger ?? "No MySQL username/pasword in config file")
    }
    let start = clock.now
    let result = await probe.run(deadline: deadline)
    if case .inconclusive(let sentence) = result {
      return CheckOutcome(code: 599, body: Array(sentence.utf8), isConclusive: false)
    }
    switch `protocol` {
    case .http, .https: return LiveCheck.passOn(result)
    case .mysql: return LiveCheck.mysql(result, deadline: deadline)
    case .redis:
      if case .refused(let words) = result {
        return CheckOutcome(code: 503, "Redis said \(words)\(stranger.map { "; \($0)" } ?? "")")
      }
      return LiveCheck.outcome(result, after: clock.now - start)
    case .tcp, .smtp, .spool: return LiveCheck.outcome(result, after: clock.now - start)
    }
  }

  // MARK: Upstream's words

  private static func passOn(_ result: ProbeResult) -> CheckOutcome {
    if case .answered(let status, let body) = result { return CheckOutcome(code: status, body: body) }
    return CheckOutcome(code: 599, "\(result)")
  }

  private static func outcome(_ result: ProbeResult, after elapsed: Duration) -> CheckOutcome {
    let time = "\(elapsed.seconds.twoDecimals)s"
    return switch result {
    case .healthy, .answered: CheckOutcome(code: 200, "Connected in \(time)")
    case .unreachable(.closed): CheckOutcome(code: 503, "Peer unexpectedly closed connection")
    case .unreachable(.timedOut): CheckOutcome(code: 503, "Connection timed out after \(time)")
    case .unreachable(let error): CheckOutcome(code: 503, "Unexpected error \(error) after \(time)")
    case .refused(let sentence), .notUnderstood(let sentence), .failed(let sentence), .inconclusive(let sentence):
      CheckOutcome(code: 503, sentence)
    }
  }

  private static func mysql(_ result: ProbeResult, deadline: Duration) -> CheckOutcome {
    switch result {
    case .healthy: CheckOutcome(code: 200, "MySQL connect response: OK")
    case .refused(let words): CheckOutcome(code: 500, "MySQL sez \(words)")
    case .unreachable(.timedOut): CheckOutcome(code: 503, "MySQL timed out after \(deadline.seconds.twoDecimals)s")
    case .unreachable, .notUnderstood, .failed, .inconclusive, .answered: CheckOutcome(code: 503, "MySQL: \(result)")
    }
  }
}
