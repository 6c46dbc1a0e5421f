public import Reactor

/// One who is told of a path: of the names below it and of the data of those that it reads, or of the path's own data.
///
/// There may be a hundred thousand nodes, so that each is an entry of a table and no object.
@LoopActor public final class PathSubscription {
  /// The path, without the ensemble's own.
  let path: String
  let isOfNames: Bool
  /// Has a node's data read.
  var onRead: @LoopActor (_ name: String) -> Void = { _ in }
  /// Called when nothing is to be reported any more.
  var onCancel: @LoopActor () -> Void = {}
  private(set) var isCancelled = false
  /// Whether the names were reported.
  private(set) var hasNames = false
  /// By name, which the path's own data has not: the hash of what was reported last (the bytes live on in what was made of
  /// them), whether that was a failure, and whether it is about to be read.
  private var nodes: [String: (digest: Int?, hasFailed: Bool, isWaiting: Bool)] = [:]
  private static let unread: (digest: Int?, hasFailed: Bool, isWaiting: Bool) = (nil, false, false)
  /// What stands in with old servers, and its watches.
  private var client: ZooKeeperClient?
  private var watches: [String: WatchToken] = [:]
  private let notify: @LoopActor (_ name: String, WatchEvent) -> Void

  /// - Parameter notify: gets the events of the names, and those of the path's own data, under an empty name.
  init(_ path: String, isOfNames: Bool, notify: @escaping @LoopActor (_ name: String, WatchEvent) -> Void) {
    (self.path, self.isOfNames, self.notify) = (path, isOfNames, notify)
    if !isOfNames { nodes[""] = PathSubscription.unread }
  }

  // MARK: Nodes

  /// Reads the data of a node below the path, and reports it and its changes.
  public func read(_ name: String) {
    guard !isCancelled, nodes[name] == nil else { return }
    nodes[name] = PathSubscription.unread
    if let client { watch(name, by: client) } else { onRead(name) }
  }

  /// Reports nothing of a node's data any more.
  public func forget(_ name: String) {
    nodes[name] = nil
    watches.removeValue(forKey: name)?.cancel()
  }

  /// Reports nothing any more.
  public func cancel() {
    guard !isCancelled else { return }
    isCancelled = true
    onCancel()
    nodes = [:]
    for watch in watches.values { watch.cancel() }
    watches = [:]
  }

  /// The path of a node below this one, or this one.
  func path(of name: String) -> String {
    if name.isEmpty { return path }
    return path == "/" ? "/\(name)" : "\(path)/\(name)"
  }

  func reads(_ name: String) -> Bool { nodes[name] != nil }

  /// The nodes whose data was reported, or could not be.
  var known: [String] { nodes.filter { $0.value.digest != nil }.map(\.key) }
  /// The nodes whose data could not be read.
  var failed: [String] { nodes.filter(\.value.hasFailed).map(\.key) }

  /// Notes that a node's data is about to be read, or has been.
  /// - Returns: whether that is news of a node that is read.
  func setWaiting(_ isWaiting: Bool, for name: String) -> Bool {
    guard let index = nodes.index(forKey: name), nodes.values[index].isWaiting != isWaiting else { return false }
    nodes.values[index].isWaiting = isWaiting
    return true
  }

  // MARK: Events

  /// Reports an event of the names below the path.
  func report(_ event: WatchEvent) {
    guard !isCancelled else { return }
    hasNames = true
    notify("", event)
  }

  /// Reports a node's data, if it is not what was reported last.
  /// - Returns: whether it was.
  @discardableResult
  func report(_ event: WatchEvent, of name: String) -> Bool {
    let digest = event.hashValue
    guard let index = nodes.index(forKey: name), nodes.values[index].digest != digest else { return false }
    nodes.values[index].digest = digest
    nodes.values[index].hasFailed = if case .failed = event { true } else { false }
    notify(name, event)
    return true
  }

  /// Lets a client of libzookeeper watch the path.
  func move(to client: ZooKeeperClient) {
    self.client = client
    if isOfNames { watches[""] = client.watchDirectory(path) { [weak self] in self?.report($0) } }
    for name in nodes.keys { watch(name, by: client) }
  }

  private func watch(_ name: String, by client: ZooKeeperClient) {
    watches[name] = client.watchData(path(of: name)) { [weak self] in self?.report($0, of: name) }
  }
}
