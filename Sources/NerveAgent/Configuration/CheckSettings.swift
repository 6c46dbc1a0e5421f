/// What an exec check runs.
struct ExecCheckSettings: Hashable, Sendable {
  /// Program and arguments; at least one.
  var command: [String]
  /// `NERVE_SERVICE`, `NERVE_CHECK`, `NERVE_HOST`, `NERVE_PORT`.
  var variables: [String: String]
  var timeout: Duration
}

/// Whom a rabbitmq check talks to.
struct RabbitMQCheckSettings: Hashable, Sendable {
  var host: String
  var port: Int
  var username: String
  var password: String
  var virtualHost: String
  var timeout: Duration
}
