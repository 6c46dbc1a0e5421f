internal import Logging
internal import Reactor
internal import SmartStack
internal import ZooKeeper

/// Follows the registrations below one znode.
///
/// A name seen before is never read again; a name that holds its data is never read at all; the data of the
/// others is watched. What cannot be used is skipped, named once and counted. Readings are delivered
///
/// - first, when the list, the data of every name in it and the generator sections are known;
/// - when servers went, at once, unless that would leave none while others are still being read;
/// - when servers came, once all that came are read.
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
  private var generatorConfig: String?
  private var awaitsGeneratorConfig: Bool
  private var tokens: [WatchToken] = []
  /// The last delivery, and the number of servers in it.
  private var last: (at: LoopClock.Instant, count: Int)?
  private var pending: LoopTimer?
  private var settled: LoopTimer?

  /// One name below the directory.
  private struct Child {
    /// Whether its data has arrived, or stands in the name.
    var isRead = false
    var backend: Backend?
    /// What it holds is no registration: not repeated in the log while it stays the same.
    var complaint: String?
    var token: WatchToken?
  }

  init(
    _ discovery: ZooKeeperDiscovery, reader: ZooKeeperReader, environment: WatchEnvironment,
    policy: @escaping ReadingPolicy
  ) {
    self.discovery = discovery
    self.reader = reader
    self.environment = environment
    self.policy = policy
    awaitsGeneratorConfig = discovery.generatorConfigPath != nil
  }

  func run(_ deliver: @escaping @LoopActor (RegistryReading) -> Void) async throws {
    self.deliver = deliver
    tokens.append(reader.watchDirectory(discovery.path) { [weak self] event in self?.directoryChanged(event) })
    if let path = discovery.generatorConfigPath {
      tokens.append(reader.watchData(path) { [weak self] event in self?.generatorConfigChanged(event, at: path) })
    }
    await untilCancelled()
    self.deliver = nil
    pending?.cancel()
    settled?.cancel()
    for token in tokens { token.cancel() }
    for child in children.values { child.token?.cancel() }
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
      child.token?.cancel()
      if !child.isRead { counts.unread -= 1 }
      if child.backend != nil { counts.servers -= 1 }
      children[gone] = nil
    }
    // The order is that of a hash table in one of ZooKeeper's servers: another order alone is no news.
    if order.map({ $0.count != names.count || !$0.allSatisfy(present.contains) }) ?? true { order = names }
    for name in names where children[name] == nil { add(name) }
    deliverSoon()
  }

  private func add(_ child: String) {
    if let decoded = decodeName(child) {
      children[child] = decoded
      if decoded.backend != nil { counts.servers += 1 }
      return
    }
    children[child] = Child()
    counts.unread += 1
    let path = discovery.path == "/" ? "/\(child)" : "\(discovery.path)/\(child)"
    let token = reader.watchData(path) { [weak self] event in self?.dataChanged(event, of: child) }
    // The data may have come while the watch was set.
    children[child]?.token = token
  }

  /// The child as its own name describes it; nil when its data must be read.
  private func decodeName(_ child: String) -> Child? {
    do throws(OperatorError) {
      guard let decoded = try RegistrationCodec.decode(name: child) else { return nil }
      return accepted(decoded, at: child)
    } catch {
      return refused(error.description, at: child, before: nil)
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
    after.token = before.token
    if !before.isRead { counts.unread -= 1 }
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
    return Child(isRead: true, backend: backend)
  }

  private func refused(_ reason: String, at child: String, before: String?) -> Child {
    if reason != before { environment.skip("\(discovery.path)/\(child)", because: reason) }
    return Child(isRead: true, complaint: reason)
  }

  // MARK: Generator sections

  private func generatorConfigChanged(_ event: WatchEvent, at path: String) {
    awaitsGeneratorConfig = false
    switch event {
    case .data(let bytes):
      generatorConfig = bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
    case .missing: generatorConfig = nil
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
    if pending?.isPending == true { return }
    let earliest = last.map { $0.at + max(discovery.jitter ?? .zero, ZooKeeperWatcher.pausePerServer * $0.count) }
    let wait = earliest.map { max(.zero, $0 - environment.clock.now) } ?? .zero
    pending = environment.clock.schedule(after: wait) { [weak self] in self?.deliverIfReady() }
  }

  private func deliverIfReady() {
    guard let deliver, let order, !awaitsGeneratorConfig, counts.unread == 0 || last != nil else { return }
    let count = counts.servers
    // Those that came are delivered together; those that went must not wait for them.
    if counts.unread > 0, count == 0 || count >= last?.count ?? 0 { return }
    last = (environment.clock.now, count)
    let backends = order.compactMap { children[$0]?.backend }
    var reading = RegistryReading(backends: backends, generatorConfig: generatorConfig)
    let left = reader.reconnectedAt.map { $0 + environment.settle - environment.clock.now } ?? .zero
    reading.isSettling = left > .zero
    deliver(policy(reading))
    // Whatever is preserved is so until then.
    if reading.isSettling {
      settled?.cancel()
      settled = environment.clock.schedule(after: left) { [weak self] in self?.deliverSoon() }
    }
  }
}
