internal import Reactor
internal import SmartStack
public import YAMLConfig
public import ZooKeeper

/// A `discovery` section with method zookeeper_dns or zookeeper_dns_poll: registrations whose hosts are names.
public struct ZooKeeperDNSDiscovery: DiscoverySettings {
  /// The registrations and their place.
  public var registrations: ZooKeeperDiscovery
  /// The look-ups; the hosts are those of the registrations.
  public var lookUps: DNSLookUps

  /// Decodes the keys of both methods.
  public init(_ source: DiscoverySource) throws(ConfigError) {
    registrations = try ZooKeeperDiscovery(source)
    lookUps = try DNSLookUps(source)
  }

  /// The registrations' ensemble and directory.
  public var place: String { registrations.place }

  /// The ensemble of the registrations.
  public var ensembles: Set<ServerList> { registrations.ensembles }

  /// A watcher of the registrations in front of one that looks their hosts up.
  @LoopActor public func makeWatcher(in environment: WatchEnvironment) -> any RegistryWatcher {
    var named = registrations
    named.generatorConfigPath = nil
    let addresses = PollWatcher(
      every: lookUps.interval, of: nil, counters: DNSNames.counters, environment: environment,
      policy: environment.policy(for: .addresses))
    return ZooKeeperDNSWatcher(
      registrations: named.makeWatcher(in: environment, policy: environment.policy(for: .names)),
      addresses: addresses, names: DNSNames(nameservers: lookUps.nameservers))
  }
}

/// Follows registrations in ZooKeeper whose hosts are names, and the addresses of those names.
@LoopActor private final class ZooKeeperDNSWatcher: RegistryWatcher {
  private let registrations: any RegistryWatcher
  private let addresses: PollWatcher
  private let names: DNSNames

  init(registrations: any RegistryWatcher, addresses: PollWatcher, names: DNSNames) {
    self.registrations = registrations
    self.addresses = addresses
    self.names = names
  }

  func run(_ deliver: @escaping @LoopActor (RegistryReading) -> Void) async throws {
    let task = Task { @LoopActor in
      try await registrations.run { [weak self] reading in
        guard let self else { return }
        self.addresses.replace(self.names.parts(reading.backends))
      }
    }
    try await addresses.run(deliver)
    task.cancel()
    _ = await task.result
  }
}
