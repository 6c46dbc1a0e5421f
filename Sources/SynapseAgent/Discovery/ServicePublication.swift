internal import Logging
internal import Reactor
internal import SmartStack

/// Turns complete readings of a registry into what is published of a service, and says in the log what was done.
@LoopActor final class ServicePublication {
  private let name: String
  private let clock: LoopClock
  private let logger: Logger
  private let skipped: Counter
  private var policy: BackendPolicy
  private var electionProblem: BackendPolicy.Note?

  /// The rules of `service`, with the filters of its discovery.
  init(service: ServiceConfiguration, context: AgentContext) {
    name = service.name
    clock = context.clock
    logger = context.logger
    skipped = context.metrics.counter(
      "synapse_registrations_skipped_total", help: "Registrations left out because of what they hold.")
    var rules = service.rules
    rules.labelFilters = service.discovery.labelFilters
    policy = BackendPolicy(rules)
  }

  /// Takes one complete reading.
  func snapshot(of reading: [Backend], generatorConfig: String? = nil) -> ServiceSnapshot {
    note(policy.take(reading, now: clock.now))
    return ServiceSnapshot(service: name, backends: policy.backends, generatorConfig: generatorConfig)
  }

  /// Something in the registry is no registration.
  /// - Parameter place: where it stands: a znode, a file, a container.
  func skip(_ place: String, _ reason: String) {
    skipped.increment()
    logger.warning("registration is skipped", with: [.service: name, .znode: place, .reason: reason])
  }

  /// Something in a registration cannot be used, the rest can.
  func ignore(_ place: String, _ parts: [String]) {
    if parts.isEmpty { return }
    logger.warning(
      "parts of a registration are ignored",
      with: [.service: name, .znode: place, .reason: parts.joined(separator: "; ")])
  }

  private func note(_ notes: [BackendPolicy.Note]) {
    for note in notes {
      switch note {
      case .usedDefaults: logger.warning("no registrations, default servers are used", with: [.service: name])
      case .keptPrevious(let count):
        logger.warning("no registrations, the previous servers are kept", with: [.service: name, .count: count])
      case .droppedAll: logger.warning("no registrations, all servers are dropped", with: [.service: name])
      case .noLeader: break
      }
    }
    let problem = policy.electionProblem
    if problem != electionProblem, case .noLeader(let reason)? = problem {
      logger.warning("no leader is elected", with: [.service: name, .reason: reason])
    }
    electionProblem = problem
  }
}
