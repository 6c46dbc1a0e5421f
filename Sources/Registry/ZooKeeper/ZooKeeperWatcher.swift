internal import Logging
internal import Reactor
internal import SmartStack
internal import ZooKeeper

/// Follows the registrations below one znode.
///
/// A name seen before is never read again; a name that holds its data is never read at all; the data of the
/// others is watched. What an earlier agent has read under a name that no other node can have is used as soon as the
/// name is listed, and read and watched some seconds later: until then a payload that has changed since is not seen.
/// What cannot be used is skipped, named once and counted. Readings are delivered
///
/// - first, when the list, the data of every name in it and the generator sections are known;
/// - when servers went, at once, unless that would leave none while others are still being read;
/// - when servers came, once all that came are read.
///
/// `discovery_jitter` is the least time between two readings of new names, and between two deliveries.
@LoopActor final class ZooKeeperWatcher: RegistryWatcher {
  /// The least time between two deliveries, for each server: half a second with ten thousand.
  static let pausePerServer: Duration = .microseconds(50)

  private let discovery: ZooKeeperDiscovery
  private let reader: ZooKeeperReader
  private let environment: WatchEnvironment
  private let policy: ReadingPolicy
  private var deliver: (@LoopActor (RegistryReading) -> Void)?

  private var children: [String: Child] = [:]
  /// The names, in the registry's order; nil until they are known.
  private var order: [String]?
  /// The number of names whose data has not arrived, and of those that hold a server.
  private var counts = (unread: 0, servers: 0)
  private var commonLabels: Labels?
  private var generatorConfig: (text: String?, isAwaited: Bool, token: WatchToken?)
  /// What an earlier agent has read, until the first list; then the names that are used so, until they are read. The place
  /// is a part of each ``Backend/origin``.
  private var known: (place: StableHash, backends: [UInt64: Backend], names: [String], reading: LoopTimer?)
  private var nodes: PathSubscription?
  /// The last delivery, and the number of servers in it.
  private var last: (at: LoopClock.Instant, count: Int)?
  /// When names were added last.
  private var addedAt: LoopClock.Instant?
  private var timers: (delivery: LoopTimer?, settled: LoopTimer?, adding: LoopTimer?)

  /// One name below the directory.
  private struct Child {
    var backend: Backend?
    /// The hash of why what it holds is no registration: not repeated in the log while it stays the same.
    var complaint = 0
    /// Whether its data has arrived, or stands in the name.
    var isRead = false
  }

  init(
    _ discovery: ZooKeeperDiscovery, reader: ZooKeeperReader, environment: WatchEnvironment,
    policy: @escaping ReadingPolicy
  ) {
    self.discovery = discovery
    self.reader = reader
    self.environment = environment
    self.policy = policy
    generatorConfig = (nil, discovery.generatorConfigPath != nil, nil)
    known = (StableHash("\(discovery.place) \(discovery.decoding) "), environment.known, [], nil)
  }

  func run(_ deliver: @escaping @LoopActor (RegistryReading) -> Void) async throws {
    self.deliver = deliver
    nodes = reader.watchNodes(discovery.path) { [weak self] name, event in
      if name.isEmpty { self?.directoryChanged(event) } else { self?.dataChanged(event, of: name) }
    }
    if let path = discovery.generatorConfigPath {
      generatorConfig.token = reader.watchData(path) { [weak self] in self?.generatorConfigChanged($0, at: path) }
    }
    await untilCancelled()
    self.deliver = nil
    for timer in [timers.delivery, timers.settled, timers.adding, known.reading] { timer?.cancel() }
    generatorConfig.token?.cancel()
    nodes?.cancel()
    children = [:]
  }

  // MARK: The directory

  private func directoryChanged(_ event: WatchEvent) {
    switch event {
    case .children(let names):
      count(
        "discovery",
        tags: [
          "zk_cluster:\(discovery.ensemble.cluster)", "zk_path:\(discovery.path)",
          "service_name:\(environment.service)",
        ])
      update(names)
    case .data: break
    case .missing: update([])
    case .failed(let error):
      // Not knowing is no change: what was delivered stands.
      count(
        "children.failed", tags: ["zk_cluster:\(discovery.ensemble.cluster)", "service_name:\(environment.service)"])
      environment.logger.warning(
        "service not readable", with: [.service: environment.service, .path: discovery.path, .reason: error])
    }
  }

  private func update(_ names: [String]) {
    let present = Set(names)
    for (gone, child) in children where !present.contains(gone) {
      nodes?.forget(gone)
      if !child.isRead { counts.unread -= 1 }
      if child.backend != nil { counts.servers -= 1 }
      children[gone] = nil
    }
    // The order is that of a hash table in one of ZooKeeper's servers: another order alone is no news.
    if order.map({ $0.count != names.count || !$0.allSatisfy(present.contains) }) ?? true { order = names }
    addNames()
    known.backends = [:]
    deliverSoon()
  }

  /// Adds the names that are new; a fleet in which each change were read at once would read a deploy task by task.
  private func addNames() {
    guard let order, order.contains(where: { children[$0] == nil }), timers.adding?.isPending != true else { return }
    let now = environment.clock.now
    if let jitter = discovery.jitter, let at = addedAt, now - at < jitter {
      timers.adding = environment.clock.schedule(after: at + jitter - now) { [weak self] in self?.addNames() }
      return
    }
    addedAt = now
    for name in order where children[name] == nil { add(name) }
    deliverSoon()
  }

  private func add(_ child: String) {
    if let decoded = decodeName(child) {
      children[child] = decoded
      if decoded.backend != nil { counts.servers += 1 }
      return
    }
    if let backend = origin(of: child).flatMap({ known.backends[$0] }) {
      children[child] = Child(backend: backend, isRead: true)
      counts.servers += 1
      known.names.append(child)
      return readKnownLater()
    }
    children[child] = Child()
    counts.unread += 1
    nodes?.read(child)
  }

  /// Not at once: what an agent knows at its start is read when what it does not know has been, and by a fleet that
  /// starts at one moment not at one moment.
  private func readKnownLater() {
    guard known.reading == nil else { return }
    let wait = Duration.seconds(Double.random(in: 1...10))
    known.reading = environment.clock.schedule(after: wait) { [weak self] in
      guard let self else { return }
      let names = known.names
      known.names = []
      for name in names where children[name] != nil { nodes?.read(name) }
    }
  }

  /// What tells a child from everything that was ever registered anywhere; nil for a name that may return for another.
  private func origin(of child: String) -> UInt64? {
    guard RegistrationCodec.isUnique(name: child) else { return nil }
    var hash = known.place
    hash.add(child.utf8)
    return hash.value
  }

  /// The child as its own name describes it; nil when its data must be read.
  private func decodeName(_ child: String) -> Child? {
    do throws(OperatorError) {
      guard let decoded = try RegistrationCodec.decode(name: child) else { return nil }
      return accepted(decoded, at: child)
    } catch {
      return refused(error.description, at: child, before: 0)
    }
  }

  private func dataChanged(_ event: WatchEvent, of child: String) {
    guard let before = children[child] else { return }
    var after: Child
    switch event {
    case .data(let bytes): after = decode(bytes, of: child, before: before)
    // It went between the list and the reading; the next list will not have it.
    case .children, .missing: after = Child()
    case .failed(let error):
      count("get_child_failed")
      after = refused(error.description, at: child, before: before.complaint)
    }
    after.isRead = true
    if !before.isRead { counts.unread -= 1 }
    // Others share the one that is known.
    if after.backend == before.backend { after.backend = before.backend }
    counts.servers += (after.backend == nil ? 0 : 1) - (before.backend == nil ? 0 : 1)
    children[child] = after
    if !before.isRead || before.backend != after.backend { deliverSoon() }
  }

  private func decode(_ bytes: [UInt8], of child: String, before: Child) -> Child {
    do throws(OperatorError) {
      return accepted(try discovery.decoding.decode(payload: bytes, name: child), at: child)
    } catch {
      count("parse_child_failed")
      return refused(error.description, at: child, before: before.complaint)
    }
  }

  private func accepted(_ decoded: DecodedBackend, at child: String) -> Child {
    environment.ignore(decoded.ignored, of: "\(discovery.path)/\(child)")
    var backend = decoded.backend
    // Nearly always the same for all servers of a service: one copy serves them all.
    if backend.labels == commonLabels { backend.labels = commonLabels } else { commonLabels = backend.labels }
    backend.origin = origin(of: child)
    return Child(backend: backend, isRead: true)
  }

  private func refused(_ reason: String, at child: String, before: Int) -> Child {
    if reason.hashValue != before { environment.skip("\(discovery.path)/\(child)", because: reason) }
    return Child(complaint: reason.hashValue, isRead: true)
  }

  // MARK: Generator sections

  private func generatorConfigChanged(_ event: WatchEvent, at path: String) {
    generatorConfig.isAwaited = false
    switch event {
    case .data(let bytes):
      generatorConfig.text = bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
    case .missing: generatorConfig.text = nil
    case .children: break
    case .failed(let error):
      count("get_config_failed")
      environment.logger.warning(
        "generator sections not readable", with: [.service: environment.service, .path: path, .reason: error])
    }
    deliverSoon()
  }

  /// One of upstream's counters.
  private func count(_ event: String, tags: [String] = []) {
    environment.count("synapse.watcher.zk.\(event)", tags: tags)
  }

  // MARK: Delivery

  /// Everything that has arrived by then is delivered once; what a delivery costs grows with the number of servers, and
  /// so does the time between two of them.
  private func deliverSoon() {
    if timers.delivery?.isPending == true { return }
    let earliest = last.map { $0.at + max(discovery.jitter ?? .zero, ZooKeeperWatcher.pausePerServer * $0.count) }
    let wait = earliest.map { max(.zero, $0 - environment.clock.now) } ?? .zero
    timers.delivery = environment.clock.schedule(after: wait) { [weak self] in self?.deliverIfReady() }
  }

  private func deliverIfReady() {
    guard let deliver, let order, !generatorConfig.isAwaited, counts.unread == 0 || last != nil else { return }
    let count = counts.servers
    // Those that came are delivered together; those that went must not wait for them.
    if counts.unread > 0, count == 0 || count >= last?.count ?? 0 { return }
    last = (environment.clock.now, count)
    let backends = order.compactMap { children[$0]?.backend }
    var reading = RegistryReading(backends: backends, generatorConfig: generatorConfig.text)
    let left = reader.reconnectedAt.map { $0 + environment.settle - environment.clock.now } ?? .zero
    reading.isSettling = left > .zero
    deliver(policy(reading))
    // Whatever is preserved is so until then.
    if reading.isSettling {
      timers.settled?.cancel()
      timers.settled = environment.clock.schedule(after: left) { [weak self] in self?.deliverSoon() }
    }
  }
}
