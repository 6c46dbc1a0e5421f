internal import Reactor
public import ZooKeeper

extension ZooKeeperDiscovery: DiscoverySettings {
  /// The ensemble and the directory.
  public var place: String { "zookeeper \(ensemble) \(path)" }

  /// The ensemble that holds the registrations.
  public var ensembles: Set<ServerList> { [ensemble] }

  /// A watcher of the directory, or one that polls it.
  @LoopActor public func makeWatcher(in environment: WatchEnvironment) -> any RegistryWatcher {
    makeWatcher(in: environment, policy: environment.policy(for: .servers))
  }

  @LoopActor func makeWatcher(
    in environment: WatchEnvironment, policy: @escaping ReadingPolicy
  ) -> any RegistryWatcher {
    let reader = environment.readers.reader(for: ensemble)
    guard let pollInterval else {
      return ZooKeeperWatcher(self, reader: reader, environment: environment, policy: policy)
    }
    let poll = ZooKeeperPoll(self, reader: reader)
    return PollWatcher(
      every: pollInterval, of: [PolledPart(place: path) { try await poll.read() }],
      counters: PollCounters(asked: "synapse.watcher.zookeeper_poll.discover"), environment: environment,
      policy: policy)
  }
}
