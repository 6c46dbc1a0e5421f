internal import Hacheck
internal import Reactor
internal import SmartStack

/// Healthy when a server of another protocol says so: one of hacheck's probes, run by nerve itself.
@LoopActor final class ProbeCheck: HealthCheck {
  let name: String
  private let clock: LoopClock
  private let ask: @LoopActor (Duration) async -> ProbeResult

  private init(name: String, clock: LoopClock, ask: @escaping @LoopActor (Duration) async -> ProbeResult) {
    self.name = name
    self.clock = clock
    self.ask = ask
  }

  /// `PING`, and one look-up: a proxy may answer the first by itself, for the second it needs the server behind it.
  convenience init(name: String, settings: RedisCheckSettings, clock: LoopClock) {
    let endpoint = Endpoint.tcp(host: settings.host, port: settings.port)
    let credentials = settings.password.map { RedisProbe.Credentials(username: settings.username, password: $0) }
    self.init(name: name, clock: clock) { deadline in
      await RedisProbe.check(
        endpoint, credentials: credentials, database: settings.database, lookingUp: RedisCheckSettings.key,
        deadline: deadline)
    }
  }

  /// A login and `select 1`.
  convenience init(name: String, settings: MySQLCheckSettings, clock: LoopClock) {
    let endpoint = Endpoint.tcp(host: settings.host, port: settings.port)
    var login = MySQLProbe.Login(
      username: settings.username, password: settings.password, database: settings.database)
    login.asksQuery = true
    login.serverKey = settings.serverKey
    self.init(name: name, clock: clock) { [login] in await MySQLProbe.check(endpoint, login, deadline: $0) }
  }

  func probe(deadline: Duration) async -> CheckResult {
    let started = clock.now
    let result = await ask(deadline)
    return CheckResult(passed: result.isHealthy, detail: "\(result)", elapsed: clock.now - started)
  }
}
