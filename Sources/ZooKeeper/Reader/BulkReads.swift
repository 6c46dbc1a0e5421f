internal import Reactor

/// Reads nodes' data, many with one request; servers from 3.6 answer ten times as many nodes a second so.
@LoopActor final class BulkReads {
  /// Requests on their way at one time.
  private static let width = 8
  private static let mostNodes = 512
  /// The size of an answer that is aimed at, and of a request that is not exceeded, below a server's `jute.maxbuffer`.
  private static let answerBytes = 1 << 20
  private static let requestBytes = 256 << 10

  /// Called when a subscription's data cannot be read.
  var onFailure: @LoopActor (PathSubscription, _ isNews: Bool) -> Void = { _, _ in }
  private let chroot: String
  /// Nil between two connections; what waits then is read with the next one.
  private var connection: WireConnection?
  private var line: [PathSubscription] = []
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

  /// Reads a subscription's data, together with that of all others of this moment.
  func add(_ subscription: PathSubscription) {
    guard !subscription.isWaiting else { return }
    subscription.isWaiting = true
    line.append(subscription)
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
    var (read, size): ([PathSubscription], Int) = ([], 0)
    while next < line.count, read.count < batch, size < BulkReads.requestBytes {
      let subscription = line[next]
      next += 1
      subscription.isWaiting = false
      if subscription.isCancelled { continue }
      read.append(subscription)
      size += subscription.path.utf8.count
    }
    if next > line.count / 2 {
      line.removeSubrange(..<next)
      next = 0
    }
    guard !read.isEmpty else { return }
    underWay += 1
    connection.data(of: read.map { chroot.joined(with: $0.path) }) { [self] answer in
      // An answer of a connection that is gone counts for nobody.
      guard connection === self.connection else { return read.forEach(add) }
      underWay -= 1
      switch answer {
      case .success(let results):
        let bytes = results.reduce(0) { $0 + ((try? $1.get().count) ?? 0) + 100 }
        batch = max(1, min(BulkReads.mostNodes, BulkReads.answerBytes * results.count / max(1, bytes)))
        for (subscription, result) in zip(read, results) { report(result, to: subscription) }
      case .failure(let error) where error.code == .connectionLoss: read.forEach(add)
      case .failure(let error): for subscription in read { report(.failure(error), to: subscription) }
      }
      schedule()
    }
  }

  private func report(_ result: Result<[UInt8], ZooKeeperError>, to subscription: PathSubscription) {
    switch result {
    case .success(let bytes): subscription.report(.data(bytes))
    case .failure(let error) where error.code == .noNode: subscription.report(.missing)
    case .failure(var error):
      error.path = subscription.path
      let before = subscription.last
      subscription.report(.failed(error))
      onFailure(subscription, before != subscription.last)
    }
  }
}
