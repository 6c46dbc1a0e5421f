public import Logging
public import Reactor
public import SmartStack
public import ZooKeeper

/// The registries that services are published in: a session per ensemble, a lease per etcd, and files.
@LoopActor public final class RegistrationPublisher {
  private let instance: String
  private let sessionTimeout: Duration
  private let credentials: ZooKeeperCredentials?
  private let tls: [ZooKeeperTLS]
  private let store: SessionStore?
  private let clock: LoopClock
  private let logger: Logger
  private let metrics: Metrics
  private var ensembles = UseCount<ServerList, ZooKeeperRegistry>()
  private var etcds = UseCount<EtcdSettings, EtcdRegistry>()
  private let files: FileRegistry
  /// Registries that no service names any more, and that are visited once more because an earlier run left something.
  private var visited: Set<String> = []
  private var isEnded = false
  /// How long such a registry may take to be reached; else the next run tries.
  private static let visitLimit = Duration.seconds(120)
  /// How long the registrations may take that are wanted, once their registries are connected, before those of earlier runs
  /// go elsewhere.
  private static let visitDelay = Duration.seconds(2)
  /// The name by which what is kept of the files is found again.
  private static let filesName = "files"

  /// - Parameters:
  ///   - instance: the name this host registers under.
  ///   - sessionTimeout: asked for when a ZooKeeper session is opened.
  ///   - credentials: the user that every ZooKeeper session authenticates as.
  ///   - tls: for the ensembles that it names.
  ///   - store: keeps the sessions for the next run.
  public init(
    instance: String, sessionTimeout: Duration, credentials: ZooKeeperCredentials?,
    tls: [ZooKeeperTLS] = [], store: SessionStore?, clock: LoopClock, logger: Logger, metrics: Metrics
  ) {
    self.instance = instance
    self.sessionTimeout = sessionTimeout
    self.credentials = credentials
    self.tls = tls
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
      onClose: { [weak self] in await self?.leave(target, of: record) })
  }

  private func open(_ ensemble: ServerList) -> ZooKeeperRegistry {
    let saved = store?.load(ensemble.description)
    let own = OwnNodes(lines: saved?.own ?? [])
    let client = ZooKeeperClient(
      ensemble: ensemble, tls: tls.options(for: ensemble), sessionTimeout: sessionTimeout, clock: clock, logger: logger,
      metrics: metrics,
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

  private func leave(_ target: RegistrationTarget, of record: any RegistryRecord) async {
    // A record that the registry refuses to remove is kept until it is gone, for those who want it meanwhile.
    switch target {
    case .zooKeeper(let target):
      let registry = ensembles[target.ensemble]
      Task.immediate { @LoopActor in
        await record.settle()
        registry?.leave(target.registration)
      }
      await leave(target.ensemble)
    case .etcd(let target):
      let registry = etcds[target.cluster]
      Task.immediate { @LoopActor in
        await record.settle()
        registry?.leave(target.key)
      }
      if let registry = etcds.leave(target.cluster) { await close(registry, of: target.cluster) }
    case .file(let target): files.leave(target)
    }
  }

  private func leave(_ ensemble: ServerList) async {
    guard let registry = ensembles.leave(ensemble) else { return }
    logger.info("ensemble no longer used", with: [.ensemble: ensemble])
    await close(registry, of: ensemble)
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

  /// Whether every ensemble and every etcd answers that services name.
  public var isConnected: Bool {
    ensembles.values.allSatisfy { $1.client.isConnected || visited.contains($0.description) }
      && etcds.values.allSatisfy { $1.isReachable || visited.contains($0.name) }
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
    let used = ensembles.values.keys.map(\.description) + etcds.values.keys.map(\.name)
    for registry in store?.registries(besides: used + [RegistrationPublisher.filesName]) ?? [] {
      visited.insert(registry)
      Task.immediate { @LoopActor in
        await visit(registry)
        visited.remove(registry)
      }
    }
  }

  /// Removes what an earlier run left in a registry that no service names any more. What it cannot remove stays in the
  /// registry's file.
  private func visit(_ registry: String) async {
    let users = ensembles.values.values.map(\.client)
    for user in users { await user.waitForConnection(within: RegistrationPublisher.visitLimit) }
    guard (try? await clock.sleep(for: RegistrationPublisher.visitDelay)) != nil, !isEnded else { return }
    if let cluster = EtcdSettings(name: registry) {
      let others = etcds.values.filter { $0.key != cluster }.values
      let etcd = etcds.join(cluster) { open(cluster) }
      let isDone = await etcd.deleteLeftovers(besides: Array(others))
      guard etcds.leave(cluster) != nil else { return }
      if isDone { await close(etcd, of: cluster) } else { etcd.abandon() }
    } else if let ensemble = try? ServerList([registry]) {
      let others = ensembles.values.filter { $0.key != ensemble }.values.map(\.client)
      let client = ensembles.join(ensemble) { open(ensemble) }.client
      await client.waitForConnection(within: RegistrationPublisher.visitLimit)
      await client.dropLeftovers(besides: others)
      await leave(ensemble)
    } else {
      store?.forget(registry)
    }
  }

  /// Ends the work with all registries, all at the same time.
  /// - Parameter keepsRegistrations: whether every registration stays where it is, for a successor. Else sessions and
  ///   leases are ended, and with them what depends on them; what was not taken back is the next run's to tidy up.
  public func end(keepsRegistrations: Bool) async {
    let (etcds, ensembles) = (etcds.removeAll(), ensembles.removeAll())
    isEnded = true
    if keepsRegistrations {
      files.abandon()
      for etcd in etcds.values { etcd.abandon() }
      for registry in ensembles.values { _ = await registry.client.abandon() }
      store?.flush()
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
