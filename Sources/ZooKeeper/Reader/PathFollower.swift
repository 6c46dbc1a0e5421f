internal import Logging
internal import Reactor
internal import SmartStack

/// Keeps followed paths in sync over one connection after another.
///
/// With each connection every watch is added again, many with one request. In the same session the directories' versions
/// are compared, which events have kept up to date, and only those are listed that have changed meanwhile; in another
/// session all are. The data of nodes that are known already is read again afterwards, a few at a time: it rarely differs.
/// Between two connections nothing is reported.
@LoopActor final class PathFollower {
  /// What cannot be read is tried again about this long after.
  private static let retryInterval: Duration = .seconds(3)
  /// How long the reading of a deleted node's data waits, for the watchers to leave or the node to return.
  private static let deletionDelay: Duration = .milliseconds(100)
  /// Nodes that are read again each second after a reconnect, at least; all are within the interval of looks.
  private static let verificationStep = 256
  /// Paths that are looked at together, at most, and rounds of looks in the interval, at least.
  private static let (mostPaths, leastRounds) = (128, 16)

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
  /// Nodes that were deleted a moment ago.
  private var deleted: (nodes: [BulkReads.Node], timer: LoopTimer?) = ([], nil)
  /// Paths that are about to be looked at for the first time, together.
  private var added: [FollowedPath] = []
  private var timers: (rearming: LoopTimer?, verification: LoopTimer?, reconciliation: LoopTimer?, retry: LoopTimer?)
  /// The last connection's session; nil before the first one.
  private var session: Int64?
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
    // Whoever reads before there is a watch may miss a change.
    if added.contains(where: { $0 === path }) { return }
    if !subscription.isOfNames { bulk.add((subscription, "")) } else if !path.isListed { lookSoon(at: path) }
  }

  private func follow(_ path: String) -> FollowedPath {
    let followed = FollowedPath(path, clock: clock)
    paths[path] = followed
    lookSoon(at: followed)
    return followed
  }

  /// Looks at the path together with all others of this moment.
  private func lookSoon(at path: FollowedPath) {
    added.append(path)
    guard added.count == 1 else { return }
    Task {
      let some = added.filter { paths[$0.path] === $0 }
      added = []
      look(at: some)
      for path in some { path.own.forEach(bulk.add) }
    }
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
    self.connection = connection
    bulk.use(connection)
    for timer in [timers.rearming, timers.verification, timers.reconciliation, timers.retry] { timer?.cancel() }
    guard let connection else { return }
    let (before, now) = (session, connection.session.identity.id)
    session = now
    if before != now { for path in paths.values { path.forgetVersion() } }
    guard before != nil else { return rearm() }
    let spread = min(limits.reconnectSpread, .microseconds(500) * paths.count)
    timers.rearming = clock.schedule(after: spread * Double.random(in: 0...1)) { [weak self] in self?.rearm() }
  }

  private func rearm() {
    look(at: Array(paths.values), isNews: true)
    let known: [BulkReads.Node] = subscriptions.flatMap { subscription in
      subscription.known.map { (subscription, $0) }
    }
    let inTime = known.count / max(1, Int(limits.reconcileInterval / .seconds(1)))
    verify(known[...], by: max(PathFollower.verificationStep, inTime))
    reconcileLater()
  }

  private func verify(_ known: ArraySlice<BulkReads.Node>, by step: Int) {
    guard !known.isEmpty else { return }
    timers.verification = clock.schedule(after: .seconds(1) * Double.random(in: 0.5...1.5)) { [weak self] in
      for node in known.prefix(step) { self?.bulk.add(node) }
      self?.verify(known.dropFirst(step), by: step)
    }
  }

  /// Looks at some paths after the others although no event came, so that each has its turn once in the interval.
  private func reconcileLater() {
    let count = min(PathFollower.mostPaths, paths.count / PathFollower.leastRounds + 1)
    let pause = limits.reconcileInterval * count / max(1, paths.count)
    timers.reconciliation = clock.schedule(after: pause * Double.random(in: 0.5...1.5)) { [weak self] in
      guard let self else { return }
      if round.isEmpty { round = paths.keys.shuffled() }
      let some = round.suffix(count).compactMap { paths[$0] }
      round.removeLast(min(count, round.count))
      look(at: some)
      for path in some { path.own.forEach(bulk.add) }
      reconcileLater()
    }
  }

  // MARK: Requests

  /// Adds the watches, of which those that are there stay, and then compares or lists the names.
  /// - Parameter isNews: whether names are reported although they are the same.
  private func look(at paths: [FollowedPath], isNews: Bool = false) {
    for start in stride(from: 0, to: paths.count, by: PathFollower.mostPaths) {
      let some = Array(paths[start..<min(start + PathFollower.mostPaths, paths.count)])
      connection?.addWatches(some.map { chroot.joined(with: $0.path) }) { [weak self] in
        guard case .failure(let error) = $0, error.code != .connectionLoss else { return }
        for path in some { self?.retrySoon(path) }
      }
      compare(some.filter { $0.hasListeners && $0.version != nil }, isNews: isNews)
      for path in some where path.hasListeners && path.version == nil { list(path, isNews: isNews) }
    }
  }

  /// Lists the names of those paths that have another version than the one that is known.
  private func compare(_ paths: [FollowedPath], isNews: Bool) {
    guard let connection, !paths.isEmpty else { return }
    connection.data(of: paths.map { chroot.joined(with: $0.path) }) { [weak self] answer in
      if case .failure(let error) = answer, error.code == .connectionLoss { return }
      let results = (try? answer.get()) ?? []
      for (index, path) in paths.enumerated() {
        let version = index < results.count ? try? results[index].get().names : nil
        if version == nil || version != path.version {
          self?.list(path, isNews: isNews)
        } else {
          path.stayedSame(isNews: isNews)
        }
      }
    }
  }

  private func list(_ path: FollowedPath, isNews: Bool) {
    guard let connection else { return }
    metrics.directoryReads.increment()
    connection.children(chroot.joined(with: path.path)) { [weak self] result in
      switch result {
      case .success((let names, let version)): path.listed(names, version: version, isNews: isNews)
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
    guard timers.retry?.isPending != true else { return }
    timers.retry = clock.schedule(after: PathFollower.retryInterval * Double.random(in: 0.5...1.5)) { [weak self] in
      guard let self else { return }
      let some = failing.compactMap { self.paths[$0] }
      look(at: some)
      for path in some {
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
