public import Logging
public import Reactor
public import SmartStack
public import ZooKeeper

/// The registries that services are published in: a session per ensemble, a lease per etcd, and files.
@LoopActor public final class RegistrationPublisher {
  private let instance: String
  private let sessionTimeout: Duration
  private let credentials: ZooKeeperCredentials?
  private let store: SessionStore?
  private let clock: LoopClock
  private let logger: Logger
  private let metrics: Metrics
  private var ensembles = UseCount<ServerList, ZooKeeperRegistry>()
  private var etcds = UseCount<EtcdSettings, EtcdRegistry>()
  private let files: FileRegistry

  /// - Parameters:
  ///   - instance: the name this host registers under.
  ///   - sessionTimeout: asked for when a ZooKeeper session is opened.
  ///   - credentials: the user that every ZooKeeper session authenticates as.
  ///   - store: keeps the sessions for the next run.
  public init(
    instance: String, sessionTimeout: Duration, credentials: ZooKeeperCredentials?, store: SessionStore?,
    clock: LoopClock, logger: Logger, metrics: Metrics
  ) {
    self.instance = instance
    self.sessionTimeout = sessionTimeout
    self.credentials = credentials
    self.store = store
    self.clock = clock
    self.logger = logger
    self.metrics = metrics
    files = FileRegistry(clock: clock, logger: logger)
  }

  /// Prepares the registration at `target`; nothing is registered before the first report.
  /// - Parameter observe: called with everything that becomes of the registration.
  public func publish(
    _ target: RegistrationTarget, observe: @escaping @LoopActor (RegistrationEvent) -> Void
  ) -> Registrar {
    let record: any RegistryRecord
    var isNew = false
    switch target {
    case .zooKeeper(let target):
      isNew = ensembles[target.ensemble] == nil
      record = ensembles.join(target.ensemble) { open(target.ensemble) }.join(target.registration)
    case .etcd(let target):
      isNew = etcds[target.cluster] == nil
      record = etcds.join(target.cluster) { EtcdRegistry(target.cluster, clock: clock, logger: logger) }
        .join(target.key)
    case .file(let target): record = files.join(target)
    }
    observe(.opened(isNewConnection: isNew))
    return Registrar(
      target: target, record: record, clock: clock, observe: observe,
      onClose: { [weak self] in await self?.leave(target) })
  }

  private func open(_ ensemble: ServerList) -> ZooKeeperRegistry {
    let saved = store?.load(ensemble.description)
    let own = OwnNodes(lines: saved?.own.map(String.init) ?? [])
    let client = ZooKeeperClient(
      ensemble: ensemble, sessionTimeout: sessionTimeout, clock: clock, logger: logger, metrics: metrics,
      savedSession: saved?.session, credentials: credentials, own: own)
    let save: @LoopActor () -> Void = { [weak client, weak own, store] in
      guard let own, let session = client?.savedSession else { return }
      store?.save(session, own: own.lines, of: ensemble.description)
    }
    client.onState { state in if case .connected = state { save() } }
    own.onChange = { [store] line in if store?.append(line, of: ensemble.description) == true { save() } }
    let registry = ZooKeeperRegistry(client: client, clock: clock)
    client.start()
    return registry
  }

  private func leave(_ target: RegistrationTarget) async {
    switch target {
    case .zooKeeper(let target):
      ensembles[target.ensemble]?.leave(target.registration)
      guard let registry = ensembles.leave(target.ensemble) else { return }
      logger.info("ensemble no longer used", with: [.ensemble: target.ensemble])
      let isClosed = await registry.client.close()
      if isClosed, ensembles[target.ensemble] == nil { store?.forget(target.ensemble.description) }
    case .etcd(let target):
      etcds[target.cluster]?.leave(target.key)
      await etcds.leave(target.cluster)?.close()
    case .file(let target): files.leave(target)
    }
  }

  // MARK: All registries

  /// Whether every ensemble and every etcd answers.
  public var isConnected: Bool {
    ensembles.values.values.allSatisfy(\.client.isConnected) && etcds.values.values.allSatisfy(\.isReachable)
  }

  /// The sessions in use, by ensemble.
  public var sessions: [String: SavedSession] {
    Dictionary(
      uniqueKeysWithValues: ensembles.values.compactMap { ensemble, registry in
        registry.client.savedSession.map { (ensemble.description, $0) }
      })
  }

  /// What a successor that cannot read the files needs, by ensemble.
  public var handover: [String: String] {
    Dictionary(
      uniqueKeysWithValues: ensembles.values.compactMap { ensemble, registry in
        registry.client.savedSession.map {
          (ensemble.description, ([$0.text] + registry.client.own.lines).joined(separator: "\n"))
        }
      })
  }

  /// Deletes what an earlier run left and no target of `running` wants; called when every service has reported.
  public func dropLeftovers(of running: [RegistrationTarget]) {
    var fileDirectories: Set<String> = []
    for target in running { if case .file(let target) = target { fileDirectories.insert(target.directory) } }
    for registry in ensembles.values.values { registry.dropLeftovers() }
    guard !fileDirectories.isEmpty else { return }
    Task.immediate { @LoopActor [files, instance, fileDirectories] in
      await files.dropLeftovers(of: instance, in: fileDirectories)
    }
  }

  /// Ends every session and lease, and with them the registrations that depend on them.
  public func close() async {
    for etcd in etcds.removeAll().values { await etcd.close() }
    let leaving = ensembles.removeAll()
    let closings = leaving.map { ensemble, registry in
      Task.immediate { @LoopActor in
        // A session that no server has ended is the next run's to resume, and to tidy up.
        if await registry.client.close() { store?.forget(ensemble.description) }
      }
    }
    for closing in closings { await closing.value }
  }

  /// Leaves every registration where it is, for a successor.
  public func abandon() async {
    files.abandon()
    for etcd in etcds.removeAll().values { etcd.abandon() }
    for registry in ensembles.removeAll().values { _ = await registry.client.abandon() }
  }
}
