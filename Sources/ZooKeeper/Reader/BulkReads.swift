internal import Reactor

/// Reads nodes' data, many with one request; servers from 3.6 answer ten times as many nodes a second so.
@LoopActor final class BulkReads {
  /// Requests on their way at one time.
  private static let width = 8
  private static let mostNodes = 512
  /// The size of an answer that is aimed at, and of a request that is not exceeded, below a server's `jute.maxbuffer`.
  private static let answerBytes = 1 << 20
  private static let requestBytes = 256 << 10

  /// One node of a subscription.
  typealias Node = (subscription: PathSubscription, name: String)

  /// Called when a node's data cannot be read.
  var onFailure: @LoopActor (PathSubscription, _ error: ZooKeeperError, _ isNews: Bool) -> Void = { _, _, _ in }
  private let chroot: String
  /// Nil between two connections; what waits then is read with the next one.
  private var connection: WireConnection?
  private var line: [Node] = []
  private var next = 0
  private var underWay = 0
  private var isScheduled = false
  private var batch = 64

  init(chroot: String) { self.chroot = chroot }

  func use(_ connection: WireConnection?) {
    self.connection = connection
    underWay = 0
    schedule()
  }

  /// Reads a node's data, together with that of all others of this moment.
  func add(_ node: Node) {
    guard node.subscription.setWaiting(true, for: node.name) else { return }
    line.append(node)
    schedule()
  }

  private func schedule() {
    guard !isScheduled, connection != nil, next < line.count else { return }
    isScheduled = true
    Task {
      isScheduled = false
      while next < line.count, underWay < BulkReads.width, let connection { send(over: connection) }
    }
  }

  private func send(over connection: WireConnection) {
    var (read, paths, size): ([Node], [String], Int) = ([], [], 0)
    while next < line.count, read.count < batch, size < BulkReads.requestBytes {
      let node = line[next]
      next += 1
      guard node.subscription.setWaiting(false, for: node.name) else { continue }
      read.append(node)
      paths.append(chroot.joined(with: node.subscription.path(of: node.name)))
      size += paths[paths.count - 1].utf8.count
    }
    if next > line.count / 2 {
      line.removeSubrange(..<next)
      next = 0
    }
    guard !read.isEmpty else { return }
    underWay += 1
    connection.data(of: paths) { [self] answer in
      // An answer of a connection that is gone counts for nobody.
      guard connection === self.connection else { return read.forEach(add) }
      underWay -= 1
      switch answer {
      case .success(let results):
        let bytes = results.reduce(0) { $0 + ((try? $1.get().bytes.count) ?? 0) + 100 }
        batch = max(1, min(BulkReads.mostNodes, BulkReads.answerBytes * results.count / max(1, bytes)))
        for (node, result) in zip(read, results) { report(result.map(\.bytes), of: node) }
      case .failure(let error) where error.code == .connectionLoss: read.forEach(add)
      case .failure(let error): for node in read { report(.failure(error), of: node) }
      }
      schedule()
    }
  }

  private func report(_ result: Result<[UInt8], ZooKeeperError>, of node: Node) {
    let (subscription, name) = node
    switch result {
    case .success(let bytes): subscription.report(.data(bytes), of: name)
    case .failure(let error) where error.code == .noNode: subscription.report(.missing, of: name)
    case .failure(var error):
      error.path = subscription.path(of: name)
      let isNews = subscription.report(.failed(error), of: name)
      if subscription.reads(name) { onFailure(subscription, error, isNews) }
    }
  }
}
