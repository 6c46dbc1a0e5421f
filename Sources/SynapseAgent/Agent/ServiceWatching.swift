internal import AgentKit
internal import Reactor
internal import Registry

extension ServiceConfiguration {
  /// The watcher that this service's `discovery` asks for; its readings are what the service's policy makes of them.
  @LoopActor func makeWatcher(_ context: AgentContext) -> any RegistryWatcher {
    let environment = WatchEnvironment(
      service: name, readers: context.readers, clock: context.clock, logger: context.logger,
      metrics: context.metrics, settle: rules.settle,
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
