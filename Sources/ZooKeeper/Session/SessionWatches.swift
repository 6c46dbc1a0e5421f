internal import Reactor
internal import SmartStack

/// Watches of one session: which are set, what they cost, and who listens.
@LoopActor final class SessionWatches {
  /// Called when a watch fired, and whether because the node was deleted.
  typealias Listener = @LoopActor (_ isDeletion: Bool) -> Void

  private let generation: UInt64
  private let chroot: String
  private let metrics: ZooKeeperMetrics
  private var budget: WatchBudget
  private var lastNumber: UInt64 = 0
  private var armed: [WatchKey: UInt64] = [:]
  private var watched: [UInt64: WatchKey] = [:]
  private var costs: [WatchKey: Int] = [:]
  var listeners: [WatchKey: Listener] = [:]

  init(generation: UInt64, chroot: String, limit: Int, metrics: ZooKeeperMetrics) {
    self.generation = generation
    self.chroot = chroot
    self.metrics = metrics
    budget = WatchBudget(limit: limit)
  }

  /// The number of set watches.
  var count: Int { costs.count }

  /// Sets the listener of `key` until ``ignore(_:)``; called after each change while the watch is armed.
  func listen(to key: WatchKey, _ listener: @escaping Listener) { listeners[key] = listener }

  /// Forgets the listener. The watch itself stays with the server until it fires: this library's call to
  /// remove one only checks for it.
  func ignore(_ key: WatchKey) { listeners[key] = nil }

  /// Whether a read of `key` may set a watch, as far as the budget goes.
  func admit(_ key: WatchKey) -> Bool {
    if costs[key] != nil { return true }
    let bytes = WatchBudget.cost(of: key.path, chroot: chroot)
    guard budget.admit(bytes, for: key.kind) else { return false }
    costs[key] = bytes
    metrics.watches.value = Double(costs.count)
    return true
  }

  /// The watch's address: always the same one until it has fired, because libzookeeper keeps each
  /// (callback, address) once per path, and a new address per read would pile up there.
  func token(of key: WatchKey) -> UnsafeMutableRawPointer? {
    if let number = armed[key] { return Token(generation: generation, number: number).pointer }
    lastNumber += 1
    armed[key] = lastNumber
    watched[lastNumber] = key
    return Token(generation: generation, number: lastNumber).pointer
  }

  /// Drops a watch that is not set after all: the read that was to set it was refused.
  func release(_ key: WatchKey) {
    if let number = armed.removeValue(forKey: key) { watched[number] = nil }
    if let bytes = costs.removeValue(forKey: key) { budget.release(bytes) }
    metrics.watches.value = Double(costs.count)
  }

  func fire(_ number: UInt64, isDeletion: Bool) {
    guard let key = watched[number] else { return }
    release(key)
    metrics.watchEvents.increment()
    listeners[key]?(isDeletion)
  }

  /// Forgets everything: the session has ended.
  func removeAll() {
    (armed, watched, costs, listeners) = ([:], [:], [:], [:])
    metrics.watches.value = 0
  }
}
