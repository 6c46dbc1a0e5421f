/// The protocols of hacheck's checks, by the first word of a path.
enum CheckProtocol: String, Sendable, Hashable, CaseIterable {
  case http, https, tcp, smtp, mysql, redis
  /// No live check: only the operators' downtimes are looked at.
  case spool

  /// The label in metrics.
  var route: StaticString {
    switch self {
    case .http: "http"
    case .https: "https"
    case .tcp: "tcp"
    case .smtp: "smtp"
    case .mysql: "mysql"
    case .redis: "redis"
    case .spool: "spool"
    }
  }
}
