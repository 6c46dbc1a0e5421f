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
