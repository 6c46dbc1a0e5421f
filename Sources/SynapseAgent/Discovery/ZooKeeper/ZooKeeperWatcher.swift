internal import AgentKit
internal import Logging
internal import Reactor
internal import SmartStack
internal import ZooKeeper

/// Follows the registrations below one znode.
///
/// A name seen before is never read again; a name that holds its data is never read at all; the data of the
/// others is watched. What cannot be used is left out, named once and counted. Published is
///
/// - first, when the list, the data of every name in it and the generator sections are known;
/// - when servers went, at once, unless that would leave none while others are still being read;
/// - when servers came, once all that came are read.
@LoopActor final class ZooKeeperWatcher: ServiceWatcher {
  let name: String
  private let discovery: ZooKeeperDiscovery
  private let client: ZooKeeperClient
  private let clock: LoopClock
  private let logger: Logger
  private let statsd: StatsD?
  private let publication: ServicePublication
  private var publish: (@LoopActor (ServiceSnapshot) -> Void)?

  private var children: [String: Child] = [:]
  /// The names, in the registry's order; nil until they are known.
  private var order: [String]?
  private var unread = 0
  private var commonLabels: Labels?
  private var generatorConfig: String?
  private var awaitsGeneratorConfig: Bool
  private var hasPublished = false
  private var tokens: [WatchToken] = []
  private var lastPublication: LoopClock.Instant?
  private var delayed: LoopTimer?

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
    service: ServiceConfiguration, discovery: ZooKeeperDiscovery, client: ZooKeeperClient, context: AgentContext
  ) {
    name = service.name
    self.discovery = discovery
    self.client = client
    clock = context.clock
    logger = context.logger
    statsd = context.statsd
    publication = ServicePublication(service: service, context: context)
    awaitsGeneratorConfig = discovery.generatorConfigPath != nil
  }

  func run(_ publish: @escaping @LoopActor (ServiceSnapshot) -> Void) async throws {
    self.publish = publish
    tokens.append(client.watchDirectory(discovery.path) { [weak self] event in self?.directory(event) })
    if let path = discovery.generatorConfigPath {
      tokens.append(client.watchData(path) { [weak self] event in self?.generatorConfig(event, path) })
    }
    await untilCancelled()
    self.publish = nil
    delayed?.cancel()
    for token in tokens { token.cancel() }
    for child in children.values { child.token?.cancel() }
    children = [:]
  }

  // MARK: The directory

  private func directory(_ event: WatchEvent) {
    switch event {
    case .children(let names):
      count("discovery", ["zk_cluster:\(discovery.cluster)", "zk_path:\(discovery.path)", "service_name:\(name)"])
      update(names)
    case .data: break
    case .missing: update([])
    case .failed(let error):
      // Not knowing is no change: what was published stands.
      count("children.failed", ["zk_cluster:\(discovery.cluster)", "service_name:\(name)"])
      logger.warning("service cannot be read", with: [.service: name, .path: discovery.path, .reason: error])
    }
  }

  private func update(_ names: [String]) {
    let present = Set(names)
    for (gone, child) in children where !present.contains(gone) {
      child.token?.cancel()
      if !child.isRead { unread -= 1 }
      children[gone] = nil
    }
    // The order is that of a hash table in one of ZooKeeper's servers: another order alone is no news.
    if order.map({ $0.count != names.count || !$0.allSatisfy(present.contains) }) ?? true { order = names }
    for name in names where children[name] == nil { add(name) }
    publishIfReady()
  }

  private func add(_ child: String) {
    if let decoded = decodeName(child) {
      children[child] = decoded
      return
    }
    children[child] = Child()
    unread += 1
    let path = discovery.path == "/" ? "/\(child)" : "\(discovery.path)/\(child)"
    let token = client.watchData(path) { [weak self] event in self?.data(event, of: child) }
    // The data may have come while the watch was set.
    children[child]?.token = token
  }

  /// The child as its own name describes it; nil when its data must be read.
  private func decodeName(_ child: String) -> Child? {
    do throws(RegistrationProblem) {
      guard let decoded = try RegistrationCodec.decode(name: child) else { return nil }
      return accepted(decoded, child)
    } catch {
      return refused(error.description, child, before: nil)
    }
  }

  private func data(_ event: WatchEvent, of child: String) {
    guard let before = children[child] else { return }
    var after: Child
    switch event {
    case .data(let bytes): after = decode(bytes, child, before)
    // It went between the list and the reading; the next list will not have it.
    case .children, .missing: after = Child()
    case .failed(let error):
      count("get_child_failed")
      after = refused(error.description, child, before: before.complaint)
    }
    after.isRead = true
    after.token = before.token
    if !before.isRead { unread -= 1 }
    children[child] = after
    if !before.isRead || before.backend != after.backend { publishIfReady() }
  }

  private func decode(_ bytes: [UInt8], _ child: String, _ before: Child) -> Child {
    do throws(RegistrationProblem) {
      return accepted(try discovery.decoding.decode(payload: bytes, name: child), child)
    } catch {
      count("parse_child_failed")
      return refused(error.description, child, before: before.complaint)
    }
  }

  private func accepted(_ decoded: DecodedBackend, _ child: String) -> Child {
    publication.ignore("\(discovery.path)/\(child)", decoded.ignored)
    var backend = decoded.backend
    // Nearly always the same for all servers of a service: one copy serves them all.
    if backend.labels == commonLabels { backend.labels = commonLabels } else { commonLabels = backend.labels }
    return Child(isRead: true, backend: backend)
  }

  private func refused(_ reason: String, _ child: String, before: String?) -> Child {
    if reason != before { publication.skip("\(discovery.path)/\(child)", reason) }
    return Child(isRead: true, complaint: reason)
  }

  // MARK: Generator sections

  private func generatorConfig(_ event: WatchEvent, _ path: String) {
    awaitsGeneratorConfig = false
    switch event {
    case .data(let bytes):
      // An emptied node says nothing: what it said last stands, as with the original.
      if !bytes.isEmpty { generatorConfig = String(decoding: bytes, as: UTF8.self) }
    case .children, .missing: break
    case .failed(let error):
      count("get_config_failed")
      logger.warning("generator sections cannot be read", with: [.service: name, .path: path, .reason: error])
    }
    publishIfReady()
  }

  /// The original's counters.
  private func count(_ what: String, _ tags: [String] = []) {
    statsd?.increment("synapse.watcher.zk.\(what)", tags: tags)
  }

  // MARK: Publishing

  private func publishIfReady() {
    guard publish != nil, let order, !awaitsGeneratorConfig else { return }
    let count = children.values.count { $0.backend != nil }
    if unread > 0, !hasPublished || count == 0 { return }
    // Those that came are published together; those that went must not wait for them.
    if unread > 0, count >= lastCount { return }
    lastCount = count
    if let wait = remainingJitter {
      if delayed?.isPending != true { delayed = clock.schedule(after: wait) { [weak self] in self?.publishIfReady() } }
      return
    }
    hasPublished = true
    lastPublication = clock.now
    publish?(
      publication.snapshot(of: order.compactMap { children[$0]?.backend }, generatorConfig: generatorConfig))
  }

  /// How many servers were known when last published or about to be.
  private var lastCount = 0

  private var remainingJitter: Duration? {
    guard let jitter = discovery.jitter, let lastPublication else { return nil }
    let wait = jitter - (clock.now - lastPublication)
    return wait > .zero ? wait : nil
  }
}
