internal import AgentRuntime
internal import Logging
internal import Reactor
internal import SmartStack
internal import ZooKeeper

/// What watchers and outputs work with.
struct AgentContext {
  let clients: ZooKeeperClients
  let clock: LoopClock
  let logger: Logger
  let metrics: Metrics
  /// The original's metrics, if anybody takes them.
  let statsd: StatsD?
}

extension ServiceConfiguration {
  /// The watcher that this service's `discovery` asks for.
  @LoopActor func makeWatcher(_ context: AgentContext) -> any ServiceWatcher {
    switch discovery.method {
    case .base: return BaseWatcher(service: self)
    case .zookeeper(let zookeeper):
      let client = context.clients.client(for: zookeeper.hosts)
      return ZooKeeperWatcher(service: self, discovery: zookeeper, client: client, context: context)
    case .multi(let parts, let resolver):
      let watchers = parts.map { part in
        var service = self
        service.discovery = part.discovery
        return (name: part.name, watcher: service.makeWatcher(context))
      }
      return MultiWatcher(name: name, parts: watchers, resolver: resolver)
    }
  }

  /// The ensembles it needs, by their key.
  var ensembles: Set<String> { discovery.ensembles }
}

extension DiscoveryConfiguration {
  var ensembles: Set<String> {
    switch method {
    case .base: []
    case .zookeeper(let zookeeper): [ZooKeeperClients.key(for: zookeeper.hosts)]
    case .multi(let parts, _): parts.reduce(into: []) { $0.formUnion($1.discovery.ensembles) }
    }
  }
}
