internal import Configure
internal import SmartStack
internal import YAMLConfig

/// What a service's configuration says about bringing it up and down.
struct UpdownFacts: Equatable {
  /// Whether HAProxy has it at all, and nobody has forbidden it.
  var isManaged: Bool
  /// Seconds: `updown_timeout_s`.
  var timeout: Int
  /// Where the service itself answers for its health: `http://127.0.0.1:PORT/URI`. Nil for what is not checked by
  /// HTTP, or has no known port.
  var healthCheck: HealthCheck?

  struct HealthCheck: Equatable {
    var port: Int
    var target: String
  }

  static let defaultTimeout = 300

  /// Reads `smartstack.yaml`, `service.yaml` and `port` of a service.
  /// - Throws: for a file that is there and cannot be read or understood.
  init(_ arguments: UpdownArguments, in directory: ServiceDirectory) throws(ConfigError) {
    let namespace = try directory.namespace(arguments.namespace, of: arguments.service)
    let blocked = try directory.document("service.yaml", of: arguments.service)?["no_updown_service"]
    isManaged = UpdownFacts.hasProxy(namespace) && !UpdownFacts.isTrue(blocked)
    timeout = UpdownFacts.defaultTimeout
    switch namespace.values["updown_timeout_s"] {
    case nil, .null?: break
    case .number(let text)?:
      guard let seconds = Double(text), (0...1e6).contains(seconds) else { fallthrough }
      timeout = Int(seconds)
    default:
      throw ConfigError(
        file: directory.file("smartstack.yaml", of: arguments.service),
        path: "\(arguments.namespace).updown_timeout_s", problem: "expected a number of seconds")
    }
    healthCheck = try UpdownFacts.healthCheck(namespace, arguments, directory)
  }

  /// With `proxy_port: null` a service is only discovered; it is managed all the same, as with the original.
  private static func hasProxy(_ namespace: ServiceNamespace) -> Bool {
    guard let port = namespace.values["proxy_port"] else { return false }
    return port.isNull || (port.double ?? -1) >= 0
  }

  private static func isTrue(_ node: YAMLNode?) -> Bool {
    guard let node, !node.isNull else { return false }
    if let truth = try? node.bool() { return truth }
    return true
  }

  private static func healthCheck(
    _ namespace: ServiceNamespace, _ arguments: UpdownArguments, _ directory: ServiceDirectory
  ) throws(ConfigError) -> HealthCheck? {
    let values = namespace.values
    guard (values["healthcheck_mode"]?.string ?? values["mode"]?.string) == "http" else { return nil }
    var own = arguments.port
    if own == nil { own = try directory.port(of: arguments.service) }
    guard let port = values["healthcheck_port"]?.int ?? own, (1...65_535).contains(port) else { return nil }
    let target = values["healthcheck_uri"]?.string ?? "/status"
    return HealthCheck(port: port, target: target.hasPrefix("/") ? target : "/" + target)
  }
}
