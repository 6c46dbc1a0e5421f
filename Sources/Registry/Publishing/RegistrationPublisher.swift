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
  /// The name by which what is kept of the files is found again.
  private static let filesName = "files"

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
    let own = OwnNodes(lines: store?.load(RegistrationPublisher.filesName).own ?? [])
    files = FileRegistry(own: own, clock: clock, logger: logger)
    keep(own, of: RegistrationPublisher.filesName) { nil }
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
      record = etcds.join(target.cluster) { open(target.cluster) }.join(target.key)
    case .file(let target): record = files.join(target)
    }
    observe(.opened(isNewConnection: isNew))
    return Registrar(
      target: target, record: record, clock: clock, observe: observe,
      onClose: { [weak self] in await self?.leave(target) })
  }

  private func open(_ ensemble: ServerList) -> ZooKeeperRegistry {
    let saved = store?.load(ensemble.description)
    let own = OwnNodes(lines: saved?.own ?? [])
    let client = ZooKeeperClient(
      ensemble: ensemble, sessionTimeout: sessionTimeout, clock: clock, logger: logger, metrics: metrics,
      savedSession: saved?.session, credentials: credentials, own: own)
    let save = keep(own, of: ensemble.description) { [weak client] in client?.savedSession }
    client.onState { state in if case .connected = state { save() } }
    let registry = ZooKeeperRegistry(client: client, clock: clock)
    client.start()
    return registry
  }

  private func open(_ cluster: EtcdSettings) -> EtcdRegistry {
    let own = OwnNodes(lines: store?.load(cluster.name).own ?? [])
    keep(own, of: cluster.name) { nil }
    return EtcdRegistry(cluster, own: own, clock: clock, logger: logger)
  }

  /// Keeps every change of the list in the registry's file, for the next run.
  /// - Returns: writes the file anew.
  @discardableResult
  private func keep(
    _ own: OwnNodes, of registry: String, session: @escaping @LoopActor () -> SavedSession?
  ) -> @LoopActor () -> Void {
    let save: @LoopActor () -> Void = { [weak own, store] in
      if let own { store?.save(session(), own: own, of: registry) }
    }
    own.onChange = { [store] line in if store?.append(line, of: registry) == false { save() } }
    return save
  }

  /// Keeps of a registry that was left what may still be there.
  private func settle(_ own: OwnNodes, of registry: String) {
    // What is answered from now on is late: the next run looks by itself.
    own.onChange = nil
    if own.places.isEmpty { store?.forget(registry) } else { store?.save(nil, own: own, of: registry) }
  }

  private func leave(_ target: RegistrationTarget) async {
    switch target {
    case .zooKeeper(let target):
      ensembles[target.ensemble]?.leave(target.registration)
      guard let registry = ensembles.leave(target.ensemble) else { return }
      logger.info("ensemble no longer used", with: [.ensemble: target.ensemble])
      await close(registry, of: target.ensemble)
    case .etcd(let target):
      etcds[target.cluster]?.leave(target.key)
      if let registry = etcds.leave(target.cluster) { await close(registry, of: target.cluster) }
    case .file(let target): files.leave(target)
    }
  }

  private func close(_ registry: ZooKeeperRegistry, of ensemble: ServerList) async {
    let own = registry.client.own
    // A session that no server has ended is the next run's to resume, and to tidy up.
    if await registry.client.close(), ensembles[ensemble] == nil { settle(own, of: ensemble.description) }
  }

  private func close(_ registry: EtcdRegistry, of cluster: EtcdSettings) async {
    await registry.close()
    if etcds[cluster] == nil { settle(registry.own, of: cluster.name) }
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

  /// What a successor that cannot read the files needs, by registry.
  public var handover: [String: String] {
    var texts = [RegistrationPublisher.filesName: SessionStore.text(nil, own: files.own)]
    for (cluster, registry) in etcds.values { texts[cluster.name] = SessionStore.text(nil, own: registry.own) }
    for (ensemble, registry) in ensembles.values {
      texts[ensemble.description] = SessionStore.text(registry.client.savedSession, own: registry.client.own)
    }
    return texts
  }

  /// Deletes what an earlier run left and no target of `running` wants; called when every service has reported.
  public func dropLeftovers(of running: [RegistrationTarget]) {
    var fileDirectories: Set<String> = []
    for target in running { if case .file(let target) = target { fileDirectories.insert(target.directory) } }
    for registry in ensembles.values.values { registry.dropLeftovers() }
    for registry in etcds.values.values { registry.dropLeftovers() }
    Task.immediate { @LoopActor [files, instance, fileDirectories] in
      await files.dropLeftovers(of: instance, in: fileDirectories)
    }
  }

  /// Ends the work with all registries, all at the same time.
  /// - Parameter keepsRegistrations: whether every registration stays where it is, for a successor. Else sessions and
  ///   leases are ended, and with them what depends on them; what was not taken back is the next run's to tidy up.
  public func end(keepsRegistrations: Bool) async {
    let (etcds, ensembles) = (etcds.removeAll(), ensembles.removeAll())
    if keepsRegistrations {
      files.abandon()
      for etcd in etcds.values { etcd.abandon() }
      for registry in ensembles.values { _ = await registry.client.abandon() }
      return
    }
    var closings = [
      Task.immediate { @LoopActor in
        await files.close()
        settle(files.own, of: RegistrationPublisher.filesName)
      }
    ]
    for (cluster, registry) in etcds { closings.append(Task.immediate { await close(registry, of: cluster) }) }
    for (ensemble, registry) in ensembles { closings.append(Task.immediate { await close(registry, of: ensemble) }) }
    for closing in closings { await closing.value }
  }
}
