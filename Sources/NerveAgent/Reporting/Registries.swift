internal import Logging
internal import Reactor
internal import SmartStack

/// The registries in use, of every kind; makes a service's reporter for the one it is to be in.
@LoopActor final class Registries {
  private let instanceID: String
  private let environment: RunnerEnvironment
  private let ensembles: Ensembles
  private let files: FileRegistry
  private var etcds: [EtcdSettings: EtcdRegistry] = [:]
  private var users: [EtcdSettings: Int] = [:]

  init(instanceID: String, ensembles: Ensembles, environment: RunnerEnvironment) {
    self.instanceID = instanceID
    self.ensembles = ensembles
    self.environment = environment
    files = FileRegistry(clock: environment.clock, logger: environment.logger)
  }

  /// A reporter for `service`; when it is closed, call ``ended(_:)``.
  func reporter(for service: ServiceConfiguration) -> any Reporter {
    switch service.registry {
    case .zooKeeper(let target):
      return ZooKeeperReporter(
        service: service.name, target: target,
        ensemble: ensembles.join(target, original: environment.original), environment: environment)
    case .file(let target):
      let record = files.record(target)
      return RecordReporter(
        service: service.name, data: target.data, record: record, renewal: target.renewal,
        reachable: { !record.isFailing }, environment: environment)
    case .etcd(let target):
      let etcd = join(target.cluster)
      return RecordReporter(
        service: service.name, data: target.data, record: etcd.record(target.key), renewal: nil,
        reachable: { etcd.isReachable }, environment: environment)
    }
  }

  /// The reporter of `service` is closed for good.
  func ended(_ service: ServiceConfiguration) async {
    switch service.registry {
    case .zooKeeper(let target): await ensembles.leave(target)
    case .file(let target): files.ended(target)
    case .etcd(let target):
      etcds[target.cluster]?.ended(target.key)
      await leave(target.cluster)
    }
  }

  /// Whether every ensemble and every etcd answers.
  var areConnected: Bool { ensembles.areConnected && etcds.values.allSatisfy(\.isReachable) }

  /// Deletes what an earlier run left behind and no service of `running` wants.
  func dropLeftovers(of running: [ServiceConfiguration]) {
    let targets = running.compactMap(\.registry.zooKeeper)
    ensembles.dropLeftovers(
      in: Dictionary(grouping: targets, by: \.ensemble).mapValues { Set($0.map(\.directory)) })
    let directories = Set(
      running.compactMap { service in
        if case .file(let target) = service.registry { target.directory } else { nil }
      })
    let (files, instanceID) = (files, instanceID)
    if !directories.isEmpty {
      Task.immediate { @LoopActor in await files.dropLeftovers(of: instanceID, in: directories) }
    }
  }

  /// Ends every session and lease, and with them what hangs on them.
  func closeAll() async {
    let etcds = etcds.values
    self.etcds = [:]
    users = [:]
    for etcd in etcds { await etcd.close() }
    await ensembles.closeAll()
  }

  /// Leaves every registration where it is, for a successor.
  func abandonAll() async {
    files.abandonAll()
    for etcd in etcds.values { etcd.abandon() }
    etcds = [:]
    await ensembles.abandonAll()
  }

  // MARK: etcd

  private func join(_ settings: EtcdSettings) -> EtcdRegistry {
    users[settings, default: 0] += 1
    if let etcd = etcds[settings] { return etcd }
    let etcd = EtcdRegistry(settings, clock: environment.clock, logger: environment.logger)
    etcds[settings] = etcd
    return etcd
  }

  private func leave(_ settings: EtcdSettings) async {
    users[settings, default: 0] -= 1
    guard users[settings, default: 0] <= 0 else { return }
    users[settings] = nil
    await etcds.removeValue(forKey: settings)?.close()
  }
}
