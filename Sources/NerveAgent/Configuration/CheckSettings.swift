internal import Hacheck

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

/// Whom a redis check talks to.
struct RedisCheckSettings: Hashable, Sendable {
  /// Looked up, and never there: the original's.
  static let key = "nerve-redis-service-check"

  var host: String
  var port: Int
  /// nil for the server's default user.
  var username: String?
  /// nil does not log in.
  var password: String?
  var database: Int
  var timeout: Duration
}

/// Whom a mysql check talks to.
struct MySQLCheckSettings: Hashable, Sendable {
  var host: String
  var port: Int
  var username: String
  var password: String
  /// nil for none.
  var database: String?
  /// Under which key the password goes to a server that asks for it.
  var serverKey: MySQLProbe.ServerKey
  var timeout: Duration
}
