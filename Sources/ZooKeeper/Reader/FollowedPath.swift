internal import Reactor

/// A path with a recursive watch: its names, and who is told of them and of its data.
///
/// The names are read once per connection and kept up to date by the watch's events, which name the child. Many changes
/// of one moment are one report.
@LoopActor final class FollowedPath {
  let path: String
  private let clock: LoopClock
  private var listeners: [PathSubscription] = []
  /// Who is told of the path's own data.
  private var ownSubscriptions: [PathSubscription] = []
  /// What is known of the names; nil before they are.
  private var known: WatchEvent?
  /// The state of the names that are known, as the server counts it; nil when they have to be listed.
  private(set) var version: Int64?
  /// In the order in which they were learnt; may still have names that went.
  private var names: [String] = []
  private var present: Set<String> = []
  private var pacing: ReadPacing
  private var report: LoopTimer?

  init(_ path: String, clock: LoopClock) {
    (self.path, self.clock) = (path, clock)
    pacing = ReadPacing(now: clock.now)
  }

  var hasListeners: Bool { !listeners.isEmpty }
  var isListed: Bool { known != nil }
  var isUnused: Bool { listeners.isEmpty && ownSubscriptions.isEmpty }
  var all: [PathSubscription] { listeners + ownSubscriptions }
  /// The path's own data, for each who is told of it.
  var own: [BulkReads.Node] { ownSubscriptions.map { ($0, "") } }

  // MARK: Subscriptions

  func add(_ subscription: PathSubscription) {
    guard subscription.isOfNames else { return ownSubscriptions.append(subscription) }
    listeners.append(subscription)
    Task { if let known, !subscription.hasNames { subscription.report(known) } }
  }

  func remove(_ subscription: PathSubscription) {
    listeners.removeAll { $0 === subscription }
    ownSubscriptions.removeAll { $0 === subscription }
    if isUnused { report?.cancel() }
  }

  // MARK: The names

  /// The names as the server has them.
  /// - Parameter isNews: whether they are reported although they are the same.
  func listed(_ found: [String], version: Int64, isNews: Bool) {
    self.version = version
    let isSame = if case .children? = known { Set(found) == present } else { false }
    if !isSame { (names, present) = (found, Set(found)) }
    if !isSame || isNews { reportNames() }
  }

  /// The names are still those that are known.
  func stayedSame(isNews: Bool) {
    if isNews { reportNames() }
  }

  /// The names have to be listed: another history of the registry may have made the same version.
  func forgetVersion() { version = nil }

  /// The path does not exist.
  func wasMissing(isNews: Bool) {
    (names, present, version) = ([], [], nil)
    let isSame = known == .missing
    known = .missing
    if !isSame || isNews { tell(.missing) }
  }

  /// The names cannot be read; those that were known are compared with the next list.
  /// - Returns: whether that is news.
  func couldNotBeListed(_ error: ZooKeeperError) -> Bool {
    version = nil
    guard known != .failed(error) else { return false }
    known = .failed(error)
    tell(.failed(error))
    return true
  }

  /// An event of a child.
  /// - Returns: its data, for each who is told of it. There is none of a node that went: whoever reads it learns so from the
  ///   names, and an event tells if it returns.
  func childChanged(_ change: WireConnection.Change, name: String) -> [BulkReads.Node] {
    // The server counts each name that comes or goes.
    if change == .created || change == .deleted { version? &+= 1 }
    switch change {
    case .created where present.insert(name).inserted:
      names.append(name)
      namesChanged()
    case .deleted where present.remove(name) != nil: namesChanged()
    case .created, .deleted, .dataChanged, .childrenChanged: break
    }
    return change == .deleted ? [] : listeners.filter { $0.reads(name) }.map { ($0, name) }
  }

  private func namesChanged() {
    guard hasListeners, report?.isPending != true, case .children? = known else { return }
    report = clock.schedule(after: pacing.delay(now: clock.now)) { [weak self] in self?.reportNames() }
  }

  private func reportNames() {
    report?.cancel()
    if names.count != present.count {
      var left = present
      names.removeAll { left.remove($0) == nil }
    }
    pacing.didRead(size: names.count, now: clock.now)
    known = .children(names)
    tell(.children(names))
  }

  private func tell(_ event: WatchEvent) {
    for listener in listeners { listener.report(event) }
  }
}
