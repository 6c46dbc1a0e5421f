/// What a reload has to do, found by comparing what runs with what is wanted.
///
/// Pure: the agent carries it out. A service that is in no list keeps its history and its registration. Every list is in the order of names, so that two equal reloads do the
/// same things in the same order.
struct ReloadPlan: Equatable, Sendable {
  var added: [ServiceConfiguration] = []
  /// The new configurations of services that run with another one.
  var changed: [ServiceConfiguration] = []
  /// The names of removed services.
  var removed: [String] = []

  /// - Parameters:
  ///   - running: by name.
  ///   - wanted: the services of the new configuration that are in order.
  ///   - bad: keys that the new configuration has but gets wrong; their services stay as they are.
  init(running: [String: ServiceConfiguration], wanted: [ServiceConfiguration], bad: Set<String>) {
    var mentioned: Set<String> = []
    for service in wanted.sorted(by: { $0.name < $1.name }) {
      mentioned.insert(service.name)
      guard let current = running[service.name] else {
        added.append(service)
        continue
      }
      if current != service { changed.append(service) }
    }
    removed = running.filter { !mentioned.contains($0.key) && !bad.contains($0.value.key) }.keys.sorted()
  }
}

/// Consequences of a new configuration for the agent itself; those for its services are in ``ReloadPlan``.
extension NerveConfiguration {
  /// The reason why an agent that registers under the name `instance` cannot apply this configuration; nil if it can.
  func rejection(after instance: String) -> String? {
    instance == instanceID
      ? nil : "instance_id changed from '\(instance)' to '\(instanceID)': restart nerve for that"
  }

  /// Whether something differs from `current` that takes effect with the next start.
  func waitsForRestart(after current: NerveConfiguration) -> Bool {
    hacheck != current.hacheck || stateDirectory != current.stateDirectory || credentials != current.credentials
      || tls != current.tls || statusPort != current.statusPort || statusAddress != current.statusAddress
      || statusHosts != current.statusHosts
  }
}
