internal import Logging
internal import Reactor
internal import Registry
internal import SmartStack

/// Turns complete readings of a registry into what is offered of a service, and says in the log what was done.
@LoopActor final class ServicePolicy {
  private let service: String
  private let clock: LoopClock
  private let logger: Logger
  private var policy: BackendPolicy
  private let settle: Duration
  private let preservations: Counter
  private var electionProblem: BackendPolicy.Note?

  init(_ rules: BackendPolicy.Rules, filters: [LabelFilter], service: String, context: AgentContext) {
    self.service = service
    clock = context.clock
    logger = context.logger
    var rules = rules
    rules.labelFilters = filters
    policy = BackendPolicy(rules)
    settle = rules.settle
    preservations = context.metrics.counter(
      "synapse_preservations_total",
      help: "Times that a service kept servers after a lost connection that the registry did not hold yet.")
  }

  /// The reading that is offered in place of `reading`.
  func apply(_ reading: RegistryReading) -> RegistryReading {
    log(policy.apply(reading.backends, isSettling: reading.isSettling, now: clock.now))
    var offer = RegistryReading(
      backends: policy.backends, generatorConfig: reading.generatorConfig, conflicts: policy.conflicts)
    offer.isPartial = reading.isPartial || !policy.hasSettled
    offer.isPreserved = policy.isPreserved
    return offer
  }

  private func log(_ notes: [BackendPolicy.Note]) {
    for note in notes {
      switch note {
      case .usedDefaults: logger.warning("no registrations, default servers used", with: [.service: service])
      case .keptPrevious(let count):
        logger.warning("no registrations, previous servers kept", with: [.service: service, .count: count])
      case .droppedAll: logger.warning("no registrations, all servers removed", with: [.service: service])
      case .preserved(let count):
        preservations.increment()
        logger.warning(
          "servers preserved after a lost connection", with: [.service: service, .count: count, .delay: settle])
      case .released(let count):
        logger.notice("preserved servers released", with: [.service: service, .count: count])
      case .noLeader: break
      }
    }
    let problem = policy.electionProblem
    if problem != electionProblem, case .noLeader(let reason)? = problem {
      logger.warning("leader election failed", with: [.service: service, .reason: reason])
    }
    electionProblem = problem
  }
}

extension BackendPolicy.Rules {
  /// The rules for the readings of one stage.
  func adjusted(for stage: PolicyStage) -> BackendPolicy.Rules {
    var rules = self
    switch stage {
    case .servers: break
    case .names:
      // Names are only to be looked up: port and election are for what comes of it.
      rules.portOverride = nil
      rules.electsLeader = false
    case .addresses:
      // They are among the names, and looked up with them.
      rules.keepsDefaultServers = false
    }
    return rules
  }
}
