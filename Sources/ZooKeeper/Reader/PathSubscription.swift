internal import Reactor

/// One who is told of a path: of the names below it, or of its data.
@LoopActor final class PathSubscription {
  /// The path, without the ensemble's own.
  let path: String
  let isOfNames: Bool
  /// What was reported last; of data only that it was some.
  private(set) var last: WatchEvent?
  /// Of the bytes that were reported last: they live on in what was made of them.
  private var digest = 0
  /// Whether its data is about to be read.
  var isWaiting = false
  private(set) var isCancelled = false
  /// What libzookeeper's watch of the path is ended with, where there is one.
  private var watch: WatchToken?
  private let notify: @LoopActor (WatchEvent) -> Void

  init(_ path: String, isOfNames: Bool, notify: @escaping @LoopActor (WatchEvent) -> Void) {
    (self.path, self.isOfNames, self.notify) = (path, isOfNames, notify)
  }

  /// Whether anything was reported.
  var isKnown: Bool { last != nil }
  /// Whether the last reading failed.
  var hasFailed: Bool { if case .failed? = last { true } else { false } }

  /// Reports an event; one of data only if it is not what was reported last.
  func report(_ event: WatchEvent) {
    guard !isCancelled else { return }
    switch event {
    case .children: last = .children([])
    case .data(let bytes):
      if case .data? = last, digest == bytes.hashValue { return }
      (last, digest) = (.data([]), bytes.hashValue)
    case .missing, .failed:
      if !isOfNames, last == event { return }
      last = event
    }
    notify(event)
  }

  /// Lets a client of libzookeeper watch the path.
  func move(to client: ZooKeeperClient) {
    watch =
      isOfNames ? client.watchDirectory(path, onEvent: notify) : client.watchData(path, onEvent: notify)
  }

  /// Reports nothing any more.
  func cancel() {
    isCancelled = true
    watch?.cancel()
  }
}
