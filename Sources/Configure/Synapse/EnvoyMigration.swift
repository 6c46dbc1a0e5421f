internal import YAMLConfig

/// The file that says which namespaces Envoy serves already.
struct EnvoyMigration: Equatable, Sendable {
  private var isEnabled = false
  private var isReusePortEnabled = false
  private var writer = "synapse"
  /// The `state` of those listed; nil for one without.
  private var states: [String: String?] = [:]
}

extension EnvoyMigration {
  init(_ node: YAMLNode) throws(ConfigError) {
    isEnabled = node["migration_enabled"]?.isTrue ?? false
    isReusePortEnabled = node["reuseport_enabled"]?.isTrue ?? false
    for entry in try node.entries() where entry.name == "registration_writer" { writer = try entry.value.string() }
    guard let namespaces = node["namespaces"], !namespaces.isNull else { return }
    for entry in try namespaces.entries() {
      _ = try entry.value.entries()
      states[entry.name] = .some(try entry.value["state"].map { state throws(ConfigError) in try state.string() })
    }
  }

  var writesFiles: Bool { writer == "synapse" }

  /// Whether listeners must share their ports with Envoy's.
  var reusesPort: Bool { isEnabled && isReusePortEnabled }

  /// Whether Envoy alone listens for a namespace: what is not listed is migrated already.
  func isEnvoyOnly(_ namespace: String) -> Bool {
    guard isEnabled else { return false }
    guard let state = states[namespace] else { return true }
    return state == "envoy"
  }
}
