public import Logging
public import Reactor
public import SmartStack
public import ZooKeeper

/// The surroundings of a service's watchers.
@LoopActor public struct WatchEnvironment {
  /// The service's key in the configuration, for the log.
  let service: String
  let readers: ZooKeeperReaders
  let clock: LoopClock
  let logger: Logger
  /// For how long readings after a lost connection are marked as such.
  let settle: Duration
  /// What an earlier agent has read of registrations, by their ``Backend/origin``: used as soon as the registry is known
  /// to have them, and read again later.
  let known: [UInt64: Backend]
  /// The discovery's label filters, for the policies.
  private var filters: [LabelFilter] = []
  private let skipped: Counter
  private let increment: @LoopActor (String, [String]) -> Void
  private let policyMaker: @LoopActor (PolicyStage, [LabelFilter]) -> ReadingPolicy

  /// - Parameters:
  ///   - increment: adds one to upstream's counter of that name, with its tags.
  ///   - makePolicy: the policy over readings of one stage, with a discovery's label filters.
  public init(
    service: String, readers: ZooKeeperReaders, clock: LoopClock, logger: Logger, metrics: Metrics, settle: Duration,
    known: [UInt64: Backend] = [:],
    increment: @escaping @LoopActor (String, [String]) -> Void,
    makePolicy: @escaping @LoopActor (PolicyStage, [LabelFilter]) -> ReadingPolicy
  ) {
    self.service = service
    self.readers = readers
    self.clock = clock
    self.logger = logger
    self.settle = settle
    self.known = known
    self.increment = increment
    policyMaker = makePolicy
    skipped = metrics.counter(
      "synapse_registrations_skipped_total", help: "Registrations skipped because of what they hold.")
  }

  /// Returns these surroundings as a discovery with label filters has them.
  func filtering(by filters: [LabelFilter]) -> WatchEnvironment {
    var environment = self
    environment.filters = filters
    return environment
  }

  /// The policy over readings of one stage. Names are looked up whatever their labels: the filters are for addresses.
  func policy(for stage: PolicyStage) -> ReadingPolicy { policyMaker(stage, stage == .names ? [] : filters) }

  func count(_ name: String, tags: [String] = []) { increment(name, tags) }

  /// An entry of the registry is no registration.
  /// - Parameter place: where it stands: a znode, a file, a container.
  func skip(_ place: String, because reason: String) {
    skipped.increment()
    logger.warning("registration skipped", with: [.service: service, .znode: place, .reason: reason])
  }

  /// Parts of a registration cannot be used, the rest can.
  func ignore(_ parts: [String], of place: String) {
    if parts.isEmpty { return }
    logger.warning(
      "registration parts ignored",
      with: [.service: service, .znode: place, .reason: parts.joined(separator: "; ")])
  }
}
