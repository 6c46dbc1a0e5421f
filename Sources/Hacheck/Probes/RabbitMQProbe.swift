internal import Reactor
internal import YAMLConfig

/// Healthy when a broker takes a message and gives one back: log in, declare the queue `nerve`, publish to it, get
/// from it and acknowledge, as the aliveness test of RabbitMQ's own management does.
struct RabbitMQProbe: Probe, ProbeSettings {
  let endpoint: Endpoint
  var username = "guest"
  var password = "guest"
  var virtualHost = "/"
  /// Nine round trips, and the password's hash on the way.
  var deadline = Duration.seconds(1)

  /// Upstream's queue, so that old and new checks share it.
  private static let queue = "nerve"
  /// Milliseconds after which the broker drops a message that nobody took.
  private static let expiration = 2000

  @LoopActor func run(deadline: Duration) async -> ProbeResult {
    await ProbeResult.of(endpoint, deadline: deadline) { stream in
      let connection = AMQPConnection(stream)
      try await connection.open(username: username, password: password, virtualHost: virtualHost)
      try await connection.declareQueue(RabbitMQProbe.queue)
      try connection.publish(
        Array("nerve test message".utf8), to: RabbitMQProbe.queue, expiration: RabbitMQProbe.expiration)
      let isThere = try await connection.get(from: RabbitMQProbe.queue)
      try await connection.close()
      return isThere
        ? .healthy("published and got a message") : .refused("the queue was empty after publishing to it")
    }
  }
}

extension RabbitMQProbe {
  init(_ section: ConfigSection, target: ProbeTarget) throws(ConfigError) {
    endpoint = target.endpoint
    virtualHost = try section.string("vhost", default: virtualHost)
    guard virtualHost.utf8.count <= 255 else { throw section.error(at: "vhost", "has more than 255 bytes") }
    username = try section.string("username", default: username)
    password = try section.string("password", default: password)
    deadline = try section.probeTimeout(default: deadline)
  }
}
