internal import Logging
internal import Reactor
internal import SmartStack

/// Keeps followed paths in sync over one connection after another.
///
/// With each connection every watch is added again and every directory listed again, in a moment; the data of nodes that
/// are known already is read again afterwards, a few at a time: it rarely differs. Between two connections nothing is
/// reported.
@LoopActor final class PathFollower {
  /// What cannot be read is tried again about this long after.
  private static let retryInterval: Duration = .seconds(3)
  /// How long the reading of a deleted node's data waits, for the watchers to leave or the node to return.
  private static let deletionDelay: Duration = .milliseconds(100)
  /// Nodes per step when what is known is read again; twenty steps a second.
  private static let verificationStep = 256

  private let chroot: String
  private let clock: LoopClock
  private let logger: Logger
  private let limits: ZooKeeperLimits
  private let metrics: ZooKeeperMetrics
  private let bulk: BulkReads
  private var connection: WireConnection?
  private var paths: [String: FollowedPath] = [:] { didSet { metrics.watches.value = Double(paths.count) } }
  /// Paths of which something could not be read.
  private var failing: Set<String> = []
  private var retry: LoopTimer?
  /// Nodes that were deleted a moment ago.
  private var deleted: (nodes: [BulkReads.Node], timer: LoopTimer?) = ([], nil)
  private var rearming: LoopTimer?
  private var verification: LoopTimer?
  private var reconciliation: LoopTimer?
  /// Paths that are still to be looked at in this round of looks to be safe.
  private var round: [String] = []

  init(chroot: String, clock: LoopClock, logger: Logger, limits: ZooKeeperLimits, metrics: ZooKeeperMetrics) {
    (self.chroot, self.clock, self.logger, self.limits, self.metrics) = (chroot, clock, logger, limits, metrics)
    bulk = BulkReads(chroot: chroot)
    bulk.onFailure = { [weak self] in self?.dataFailed($0, error: $1, isNews: $2) }
  }

  /// All who are told of anything.
  var subscriptions: [PathSubscription] { paths.values.flatMap(\.all) }

  // MARK: Subscriptions

  func add(_ subscription: PathSubscription) {
    let path = paths[subscription.path] ?? follow(subscription.path)
    path.add(subscription)
    subscription.onRead = { [weak self, unowned subscription] in self?.bulk.add((subscription, $0)) }
    subscription.onCancel = { [weak self, unowned subscription] in self?.remove(subscription) }
    if !subscription.isOfNames { bulk.add((subscription, "")) } else if !path.isListed { list(path, isNews: false) }
  }

  private func follow(_ path: String) -> FollowedPath {
    let followed = FollowedPath(path, clock: clock)
    paths[path] = followed
    watch(followed)
    return followed
  }

  private func remove(_ subscription: PathSubscription) {
    let path = subscription.path
    guard let followed = paths[path] else { return }
    followed.remove(subscription)
    guard followed.isUnused else { return }
    paths[path] = nil
    failing.remove(path)
    connection?.removeWatch(chroot.joined(with: path))
  }

  private static func split(_ path: String) -> (parent: String, name: String) {
    guard let slash = path.lastIndex(of: "/") else { return (path, "") }
    return (slash == path.startIndex ? "/" : String(path[..<slash]), String(path[path.index(after: slash)...]))
  }

  // MARK: Connections

  /// - Parameter connection: nil when there is none any more.
  func use(_ connection: WireConnection?) {
    let isFirst = self.connection == nil && reconciliation == nil
    self.connection = connection
    bulk.use(connection)
    for timer in [rearming, verification, retry, reconciliation] { timer?.cancel() }
    guard connection != nil else { return }
    guard !isFirst else { return rearm() }
    // A fleet that comes back at one moment does not read at one moment.
    let spread = min(.milliseconds(500), .microseconds(500) * paths.count)
    rearming = clock.schedule(after: spread * Double.random(in: 0...1)) { [weak self] in self?.rearm() }
  }

  private func rearm() {
    for path in paths.values {
      watch(path)
      if path.hasListeners { list(path, isNews: true) }
    }
    verify(subscriptions.flatMap { subscription in subscription.known.map { (subscription, $0) } }[...])
    reconcileLater()
  }

  private func verify(_ known: ArraySlice<BulkReads.Node>) {
    guard !known.isEmpty else { return }
    verification = clock.schedule(after: .milliseconds(50) * Double.random(in: 0.5...1.5)) { [weak self] in
      for node in known.prefix(PathFollower.verificationStep) { self?.bulk.add(node) }
      self?.verify(known.dropFirst(PathFollower.verificationStep))
    }
  }

  /// Looks at one path after the other although no event came, so that each has its turn once in the interval.
  private func reconcileLater() {
    let pause = max(.milliseconds(25), limits.reconcileInterval / max(1, paths.count))
    reconciliation = clock.schedule(after: pause * Double.random(in: 0.5...1.5)) { [weak self] in
      guard let self else { return }
      if round.isEmpty { round = paths.keys.shuffled() }
      if let path = round.popLast().flatMap({ paths[$0] }) { look(at: path) }
      reconcileLater()
    }
  }

  /// Adding a watch that is there changes nothing.
  private func look(at path: FollowedPath) {
    watch(path)
    if path.hasListeners { list(path, isNews: false) }
    path.own.forEach(bulk.add)
  }

  // MARK: Requests

  private func watch(_ path: FollowedPath) {
    connection?.addWatch(chroot.joined(with: path.path)) { [weak self] in
      if case .failure(let error) = $0, error.code != .connectionLoss { self?.retrySoon(path) }
    }
  }

  private func list(_ path: FollowedPath, isNews: Bool) {
    guard let connection else { return }
    metrics.directoryReads.increment()
    connection.children(chroot.joined(with: path.path)) { [weak self] result in
      switch result {
      case .success(let names): path.listed(names, isNews: isNews)
      case .failure(let error) where error.code == .connectionLoss: break
      case .failure(let error) where error.code == .noNode: path.wasMissing(isNews: isNews)
      case .failure(var error):
        error.path = path.path
        if path.couldNotBeListed(error) { self?.report(error) }
        self?.retrySoon(path)
      }
    }
  }

  private func dataFailed(_ subscription: PathSubscription, error: ZooKeeperError, isNews: Bool) {
    if isNews { report(error) }
    if let path = paths[subscription.path] { retrySoon(path) }
  }

  private func report(_ error: ZooKeeperError) {
    logger.error("watch failed", with: [.path: error.path, .reason: "\(error)"])
  }

  private func retrySoon(_ path: FollowedPath) {
    failing.insert(path.path)
    guard retry?.isPending != true else { return }
    retry = clock.schedule(after: PathFollower.retryInterval * Double.random(in: 0.5...1.5)) { [weak self] in
      guard let self else { return }
      for path in failing.compactMap({ self.paths[$0] }) {
        look(at: path)
        for subscription in path.all { for name in subscription.failed { bulk.add((subscription, name)) } }
      }
      failing = []
    }
  }

  // MARK: Events

  /// An event of a watch; `path` is the server's.
  func changed(_ change: WireConnection.Change, at path: String) {
    guard path.hasPrefix(chroot) else { return }
    let path = path.count == chroot.count ? "/" : String(path.dropFirst(chroot.count))
    let (parent, name) = PathFollower.split(path)
    if let own = paths[path] {
      read(own.own, after: change)
      if own.hasListeners, change == .created || change == .deleted { list(own, isNews: false) }
    }
    if !name.isEmpty, let directory = paths[parent] {
      read(directory.childChanged(change, name: name), after: change)
    }
  }

  private func read(_ nodes: [BulkReads.Node], after change: WireConnection.Change) {
    guard change == .deleted else { return nodes.forEach(bulk.add) }
    guard !nodes.isEmpty else { return }
    deleted.nodes += nodes
    guard deleted.timer?.isPending != true else { return }
    deleted.timer = clock.schedule(after: PathFollower.deletionDelay) { [weak self] in
      guard let self else { return }
      deleted.nodes.forEach(bulk.add)
      deleted.nodes = []
    }
  }
}

extension String {
  /// A path below this one, which is an ensemble's own or empty.
  func joined(with path: String) -> String { !isEmpty && path == "/" ? self : self + path }
}
