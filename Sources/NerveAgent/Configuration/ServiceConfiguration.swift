internal import Reactor
internal import Registry

/// One service as the configuration describes it, checked and complete.
///
/// Equal values mean that a reload has nothing to do for the service.
struct ServiceConfiguration: Hashable, Sendable {
  /// The key in `services`, or the file's name in `service_conf_dir`.
  var key: String
  /// The key; with `load_test_concurrency` each copy has its number appended.
  var name: String
  var host: String
  /// 1...65535.
  var port: Int
  var registry: RegistrationTarget
  var checks: [CheckConfiguration]
  /// From one check to the next.
  var interval: Duration
  /// `check_mocked`: nothing is checked, the service counts as up.
  var isMocked: Bool
  var rateLimit: RateLimit?
}

/// `rate_limiting`: how often a service's state may be reported.
struct RateLimit: Hashable, Sendable {
  /// Reports per second; 0 means never, infinity always.
  var averageRate: Double
  /// Reports at once, at least 1.
  var maxBurst: Double
  /// Only say what would have been held back.
  var isShadow: Bool
}

/// One entry of `checks`.
struct CheckConfiguration: Hashable, Sendable {
  /// For logs and metrics.
  var name: String
  var kind: Kind
  /// Successes in a row that bring a down check up; at least 1.
  var rise: Int
  /// Failures in a row that bring an up check down; at least 1.
  var fall: Int

  enum Kind: Hashable, Sendable {
    case http(HTTPCheckSettings)
    case tcp(host: String, port: Int, timeout: Duration)
    case exec(ExecCheckSettings)
    case rabbitMQ(RabbitMQCheckSettings)
    case redis(RedisCheckSettings)
    case mysql(MySQLCheckSettings)
    case noop
  }

  /// A probe never takes longer.
  var deadline: Duration {
    switch kind {
    case .http(let settings): settings.deadline
    case .tcp(_, _, let timeout): timeout
    case .exec(let settings): settings.timeout
    case .rabbitMQ(let settings): settings.timeout
    case .redis(let settings): settings.timeout
    case .mysql(let settings): settings.timeout
    case .noop: .zero
    }
  }
}

/// What an http check asks and expects.
struct HTTPCheckSettings: Hashable, Sendable {
  var host: String
  var port: Int
  /// Path and query, as written in the configuration.
  var uri: String
  var usesTLS: Bool
  var openTimeout: Duration
  /// For the TLS handshake; counts only with ``usesTLS``.
  var handshakeTimeout: Duration
  var readTimeout: Duration
  /// In the order of the configuration.
  var headers: [Header]
  /// Text that must occur in the body.
  var expect: String?

  struct Header: Hashable, Sendable {
    var name: String
    var value: String
  }

  var timeouts: HTTPTimeouts {
    HTTPTimeouts(open: openTimeout, handshake: usesTLS ? handshakeTimeout : nil, read: readTimeout)
  }

  /// Connecting, the handshake and the answer together.
  var deadline: Duration { openTimeout + (usesTLS ? handshakeTimeout : .zero) + readTimeout }
}
