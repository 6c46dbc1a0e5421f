internal import Reactor
internal import SmartStack

/// Healthy when a broker takes a message and gives one back: log in, declare the queue `nerve`, publish to it, get
/// from it and acknowledge, as the aliveness test of RabbitMQ's own management does.
@LoopActor final class RabbitMQCheck: HealthCheck {
  /// The original's, so that old and new checks share it.
  private static let queue = "nerve"
  /// What other checks take in our place, or nobody takes, does not stay: milliseconds.
  private static let expiration = 2000

  let name: String
  private let settings: RabbitMQCheckSettings
  private let clock: LoopClock

  init(name: String, settings: RabbitMQCheckSettings, clock: LoopClock) {
    self.name = name
    self.settings = settings
    self.clock = clock
  }

  func probe(deadline: Duration) async -> CheckResult {
    let started = clock.now
    do {
      let passed = try await isAlive(within: deadline)
      return CheckResult(
        passed: passed, detail: passed ? "published and got a message" : "the queue was empty after publishing to it",
        elapsed: clock.now - started)
    } catch {
      return CheckResult(passed: false, detail: "\(error)", elapsed: clock.now - started)
    }
  }

  private func isAlive(within deadline: Duration) async throws -> Bool {
    let stream = try await ByteStream.connect(to: .tcp(host: settings.host, port: settings.port), deadline: deadline)
    defer { stream.close() }
    let connection = AMQPConnection(stream)
    try await connection.open(
      username: settings.username, password: settings.password, virtualHost: settings.virtualHost)
    try await connection.declareQueue(RabbitMQCheck.queue)
    try connection.publish(
      Array("nerve test message".utf8), to: RabbitMQCheck.queue, expiration: RabbitMQCheck.expiration)
    let passed = try await connection.get(from: RabbitMQCheck.queue)
    try await connection.close()
    return passed
  }
}
