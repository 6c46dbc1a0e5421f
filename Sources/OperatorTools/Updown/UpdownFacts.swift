internal import Configure
internal import SmartStack
internal import YAMLConfig

/// What a service's configuration says about bringing it up and down.
struct UpdownFacts {
  /// Whether HAProxy has it at all, and nobody has forbidden it.
  var isManaged: Bool
  /// Seconds to wait: `updown_timeout_s`.
  var timeout: Int
  /// Where the service itself answers for its health: `http://127.0.0.1:PORT/URI`. Nil for what is not checked by
  /// HTTP, or has no known port.
  var healthCheck: (port: Int, target: String)?

  static let defaultTimeout = 300

  /// Reads `smartstack.yaml`, `service.yaml` and `port` of a service.
  /// - Throws: for a file that is there and cannot be read or understood.
  init(_ arguments: UpdownArguments, in directory: ServiceDirectory) throws(ConfigError) {
    let namespace = try directory.namespace(arguments.namespace, of: arguments.service)
    let blocked = try directory.document("service.yaml", of: arguments.service)?["no_updown_service"]
    try namespace.check(.mode, .updownTimeout)
    isManaged = UpdownFacts.hasProxy(namespace) && !UpdownFacts.isTrue(blocked)
    timeout = namespace.updownTimeout ?? UpdownFacts.defaultTimeout
    healthCheck = try UpdownFacts.healthCheck(of: namespace, arguments: arguments, in: directory)
  }

  /// With `proxy_port: null` a service is only discovered; it is managed all the same, as upstream has it.
  private static func hasProxy(_ namespace: SmartStackNamespace) -> Bool {
    switch namespace.proxyPort {
    case .absent, .negative, .wrong: false
    case .discoveryOnly, .port: true
    }
  }

  private static func isTrue(_ node: YAMLNode?) -> Bool {
    guard let node, !node.isNull else { return false }
    if let truth = try? node.bool() { return truth }
    return true
  }

  private static func healthCheck(
    of namespace: SmartStackNamespace, arguments: UpdownArguments, in directory: ServiceDirectory
  ) throws(ConfigError) -> (port: Int, target: String)? {
    // A namespace without a port for clients has no mode of its own.
    var mode = namespace.health.mode ?? namespace.mode
    if mode == nil, case .port = namespace.proxyPort { mode = "http" }
    guard mode == "http" else { return nil }
    var own = arguments.port
    if own == nil { own = try? directory.port(of: arguments.service) }
    guard let port = namespace.health.port ?? own, (1...65_535).contains(port) else { return nil }
    let target = namespace.health.uri
    return (port, target.hasPrefix("/") ? target : "/" + target)
  }
}
