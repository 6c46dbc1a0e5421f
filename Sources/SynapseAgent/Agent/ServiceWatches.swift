internal import AgentKit
internal import Reactor
internal import Registry
internal import SmartStack
internal import ZooKeeper

/// The watchers of a configuration's services, and the last snapshot of each service.
@LoopActor final class ServiceWatches {
  private typealias RunningWatcher = (service: ServiceConfiguration, generation: Int, task: Task<Void, any Error>)

  private let context: AgentContext
  private var watchers: [String: RunningWatcher] = [:]
  private var latest: [String: (snapshot: ServiceSnapshot, changedAt: Double)] = [:]
  private var generation = 0
  private let publications: Counter

  /// Called for what an earlier agent has read of a service's registrations, by ``Backend/origin``.
  var registrations: @LoopActor (_ service: String) -> [UInt64: Backend] = { _ in [:] }
  /// Called with each snapshot that a watcher delivers; news differ from the one before.
  var onSnapshot: (@LoopActor (ServiceSnapshot, _ isNews: Bool) -> Void)?

  init(context: AgentContext) {
    self.context = context
    publications = context.metrics.counter(
      "synapse_publications_total", help: "Complete readings of services that watchers have delivered.")
  }

  /// The last snapshot; nil before the first.
  func snapshot(of service: String) -> ServiceSnapshot? { latest[service]?.snapshot }

  /// When it last changed, in seconds since 1970.
  func lastChange(of service: String) -> Double? { latest[service]?.changedAt }

  /// Watches these services, and no others; watchers that would find the same go on.
  /// - Returns: the services that a snapshot is still awaited of.
  func watch(_ services: [ServiceConfiguration]) -> Set<String> {
    stopWatchers(besides: Set(services.map(\.name)))
    var awaited: Set<String> = []
    for service in services {
      if let watcher = watchers[service.name], watcher.service.finds(likewise: service) {
        watchers[service.name]?.service = service
        if latest[service.name] == nil { awaited.insert(service.name) }
      } else {
        awaited.insert(service.name)
        start(service)
      }
    }
    closeUnusedEnsembles(services)
    return awaited
  }

  /// Forgets the snapshots of services that are not among these.
  func forget(besides services: Set<String>) { latest = latest.filter { services.contains($0.key) } }

  /// Ends the watchers of all services.
  func stop() { stopWatchers(besides: []) }

  private func start(_ service: ServiceConfiguration) {
    generation += 1
    let (name, mine) = (service.name, generation)
    if let old = watchers[name] { end(old) }
    context.statsd?.increment("synapse.watcher.start", tags: ["start_result:success", "watcher_name:\(name)"])
    let watcher = service.makeWatcher(context, known: registrations(name))
    let task = Task { @LoopActor [weak self] in
      try await watcher.run { reading in self?.record(reading, of: name, from: mine) }
    }
    watchers[name] = (service, mine, task)
  }

  private func record(_ reading: RegistryReading, of service: String, from generation: Int) {
    guard watchers[service]?.generation == generation else { return }
    publications.increment()
    var snapshot = ServiceSnapshot(
      service: service, backends: reading.backends, generatorConfig: reading.generatorConfig,
      conflicts: reading.conflicts)
    snapshot.isPartial = reading.isPartial
    snapshot.isPreserved = reading.isPreserved
    let isNews = latest[service]?.snapshot != snapshot
    if isNews { latest[service] = (snapshot, context.clock.unixTime) }
    onSnapshot?(snapshot, isNews)
  }

  private func stopWatchers(besides names: Set<String>) {
    for (name, watcher) in watchers where !names.contains(name) {
      end(watcher)
      watchers[name] = nil
    }
  }

  private func end(_ watcher: RunningWatcher) {
    watcher.task.cancel()
    let tags = ["stop_avenue:clean", "stop_location:main_loop", "watcher_name:\(watcher.service.name)"]
    context.statsd?.increment("synapse.watcher.stop", tags: tags)
  }

  private func closeUnusedEnsembles(_ services: [ServiceConfiguration]) {
    let used = services.reduce(into: Set<ServerList>()) { $0.formUnion($1.discovery.ensembles) }
    for ensemble in context.readers.all.keys where !used.contains(ensemble) {
      Task { @LoopActor [readers = context.readers] in await readers.close(ensemble) }
    }
  }
}

extension ServiceConfiguration {
  /// The watcher that this service's `discovery` asks for; its readings are what the service's policy makes of them.
  /// - Parameter known: what an earlier agent has read of its registrations, by ``Backend/origin``.
  @LoopActor func makeWatcher(_ context: AgentContext, known: [UInt64: Backend] = [:]) -> any RegistryWatcher {
    let environment = WatchEnvironment(
      service: name, readers: context.readers, clock: context.clock, logger: context.logger,
      metrics: context.metrics, settle: rules.settle, known: known,
      increment: { counter, tags in context.statsd?.increment(counter, tags: tags) },
      makePolicy: { [name, rules] stage, filters in
        let policy = ServicePolicy(rules.adjusted(for: stage), filters: filters, service: name, context: context)
        return { policy.apply($0) }
      })
    return discovery.makeWatcher(in: environment)
  }

  /// Whether a watcher of this service finds what one of the other would.
  func finds(likewise other: ServiceConfiguration) -> Bool { discovery == other.discovery && rules == other.rules }
}
