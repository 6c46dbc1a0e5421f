internal import AgentKit
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
  /// How long a `multi` waits for those of its watchers that are silent.
  private static let multiPatience: Duration = .seconds(10)

  /// The watcher that this service's `discovery` asks for.
  @LoopActor func makeWatcher(_ context: AgentContext) -> any ServiceWatcher {
    switch discovery.method {
    case .base: return BaseWatcher(service: self)
    case .zookeeper(let zookeeper): return makeZooKeeperWatcher(zookeeper, context)
    case .zookeeperDNS(let zookeeper, let dns): return makeZooKeeperDNSWatcher(zookeeper, dns, context)
    case .dns(let dns):
      let names = DNSNames(nameservers: dns.nameservers)
      return poll(every: dns.interval, names.parts(dns.servers), context, DNSNames.counters)
    case .file(let file): return FileWatcher(service: self, discovery: file, context: context)
    case .etcd(let etcd): return EtcdWatcher(service: self, discovery: etcd, context: context)
    case .docker(let docker):
      return poll(every: docker.interval, docker.servers.map { Docker.part($0, docker) }, context)
    case .marathon(let marathon): return poll(every: marathon.interval, [Marathon.part(marathon)], context)
    case .ec2tag(let ec2): return poll(every: ec2.interval, [EC2Instances.part(ec2, clock: context.clock)], context)
    case .multi(let parts, let resolver):
      let watchers = parts.map { part in
        var service = self
        service.discovery = part.discovery
        return (name: part.name, watcher: service.makeWatcher(context))
      }
      return MultiWatcher(
        name: name, parts: watchers, resolver: resolver, patience: ServiceConfiguration.multiPatience,
        context: context)
    }
  }

  @LoopActor private func poll(
    every interval: Duration, _ parts: [PolledPart]?, _ context: AgentContext, _ counters: PollCounters = .init()
  ) -> PollWatcher {
    PollWatcher(
      service: self, schedule: PollSchedule(interval: interval), parts: parts, counters: counters, context: context)
  }

  @LoopActor private func makeZooKeeperWatcher(
    _ zookeeper: ZooKeeperDiscovery, _ context: AgentContext
  ) -> any ServiceWatcher {
    let client = context.clients.client(for: zookeeper.hosts)
    guard let interval = zookeeper.pollInterval else {
      return ZooKeeperWatcher(service: self, discovery: zookeeper, client: client, context: context)
    }
    let reader = ZooKeeperPoll(zookeeper, client: client, clock: context.clock)
    let part = PolledPart(place: zookeeper.path) { try await reader.read() }
    return poll(every: interval, [part], context, PollCounters(asked: "synapse.watcher.zookeeper_poll.discover"))
  }

  @LoopActor private func makeZooKeeperDNSWatcher(
    _ zookeeper: ZooKeeperDiscovery, _ dns: DNSDiscovery, _ context: AgentContext
  ) -> any ServiceWatcher {
    // What is registered is only to be resolved: filters and election are for what comes of it.
    var registrations = self
    registrations.discovery = DiscoveryConfiguration(.zookeeper(zookeeper))
    registrations.rules.portOverride = nil
    registrations.rules.electsLeader = false
    var zookeeper = zookeeper
    zookeeper.generatorConfigPath = nil
    var resolved = self
    // They are among the registrations, and resolved with them.
    resolved.rules.keepsDefaultServers = false
    return ZooKeeperDNSWatcher(
      name: name, registrations: registrations.makeZooKeeperWatcher(zookeeper, context),
      addresses: resolved.poll(every: dns.interval, nil, context, DNSNames.counters),
      names: DNSNames(nameservers: dns.nameservers))
  }

  /// The ensembles it needs, by their key.
  var ensembles: Set<String> { discovery.ensembles }
}

extension DiscoveryConfiguration {
  var ensembles: Set<String> {
    switch method {
    case .zookeeper(let zookeeper), .zookeeperDNS(let zookeeper, _): [ZooKeeperClients.key(for: zookeeper.hosts)]
    case .multi(let parts, _): parts.reduce(into: []) { $0.formUnion($1.discovery.ensembles) }
    case .base, .dns, .file, .etcd, .docker, .marathon, .ec2tag: []
    }
  }
}
