public import YAMLConfig

/// The kinds of probes, by the word for them in nerve's configuration (`type`).
public enum ProbeKind: String, CaseIterable, Sendable {
  case exec, http, mysql, noop, rabbitmq, redis, smtp, tcp

  private var settings: any ProbeSettings.Type {
    switch self {
    case .exec: ExecProbe.Settings.self
    case .http: HTTPProbe.Settings.self
    case .mysql: MySQLProbe.self
    case .noop: NoopProbe.self
    case .rabbitmq: RabbitMQProbe.self
    case .redis: RedisProbe.self
    case .smtp: SMTPProbe.self
    case .tcp: TCPProbe.self
    }
  }

  /// Reads the settings of a check of this kind.
  public func read(_ section: ConfigSection, target: ProbeTarget) throws(ConfigError) -> any ProbeSettings {
    try settings.init(section, target: target)
  }
}
