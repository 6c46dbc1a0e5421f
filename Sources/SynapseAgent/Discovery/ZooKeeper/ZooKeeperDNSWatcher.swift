internal import Logging
internal import Reactor
internal import SmartStack

/// Follows registrations in ZooKeeper whose hosts are names, and the addresses of those names.
@LoopActor final class ZooKeeperDNSWatcher: ServiceWatcher {
  let name: String
  private let registrations: any ServiceWatcher
  private let addresses: PollWatcher
  private let names: DNSNames

  /// - Parameters:
  ///   - registrations: publishes what is to be resolved, default servers and all.
  ///   - addresses: resolves it and keeps to the service's rules.
  init(name: String, registrations: any ServiceWatcher, addresses: PollWatcher, names: DNSNames) {
    self.name = name
    self.registrations = registrations
    self.addresses = addresses
    self.names = names
  }

  func run(_ publish: @escaping @LoopActor (ServiceSnapshot) -> Void) async throws {
    let task = Task { @LoopActor in
      try await registrations.run { [weak self] snapshot in
        guard let self else { return }
        self.addresses.replace(self.names.parts(snapshot.backends))
      }
    }
    try await addresses.run(publish)
    task.cancel()
    _ = await task.result
  }
}
