/// Consequences of a new configuration for the agent itself; those for its services are in ``ReloadPlan``.
struct AgentReloadPlan: Equatable, Sendable {
  /// The reason why a running agent cannot apply the configuration.
  let rejection: String?
  /// Whether something changed that takes effect with the next start.
  let waitsForRestart: Bool
  /// Whether `heartbeat_path` is another one.
  let restartsHeartbeat: Bool
  /// Whether other files are to be watched.
  let watchesOtherFiles: Bool

  /// - Parameter current: nil at the start.
  init(from current: NerveConfiguration?, to new: NerveConfiguration) {
    guard let current else {
      (rejection, waitsForRestart, restartsHeartbeat, watchesOtherFiles) = (nil, false, true, true)
      return
    }
    rejection =
      current.instanceID == new.instanceID
      ? nil
      : "instance_id changed from '\(current.instanceID)' to '\(new.instanceID)': restart nerve for that"
    waitsForRestart =
      current.hacheck != new.hacheck || current.stateDirectory != new.stateDirectory
      || current.credentials != new.credentials
    restartsHeartbeat = current.heartbeatPath != new.heartbeatPath
    watchesOtherFiles =
      current.reloadsOnChange != new.reloadsOnChange || current.serviceDirectories != new.serviceDirectories
  }
}
