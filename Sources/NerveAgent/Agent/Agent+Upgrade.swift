internal import AgentKit
internal import Hacheck
internal import Reactor
internal import Registry
internal import SmartStack
internal import ZooKeeper

/// The in-place upgrade (SIGUSR2): process id, ZooKeeper sessions, registrations, the checks' histories and hacheck's
/// sockets stay.
extension Agent {
  /// How long requests to hacheck that are under way may take.
  private static let retireLimit = Duration.seconds(1)

  /// Stops what cannot continue, and leaves registrations and sessions where they are.
  /// - Returns: what the next program needs; nil when a stop was requested meanwhile.
  func handOver() async -> InPlaceUpgradeState? {
    await hacheck?.service.retire(within: Agent.retireLimit)
    if process?.isStopping == true { return nil }
    var upgrade = NerveUpgradeState(sessions: (publisher?.sessions ?? [:]).mapValues(\.text))
    for runner in (services?.runners ?? [:]).values { upgrade.remember(runner) }
    if let hacheck, hacheck.isListening { upgrade.listeners = hacheck.listeners }
    services?.leave()
    await publisher?.abandon()
    var state = upgrade.state
    lock?.handOver(to: &state)
    return state
  }
}
