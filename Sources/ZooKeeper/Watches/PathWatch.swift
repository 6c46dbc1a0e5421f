internal import Logging
internal import Reactor
internal import SmartStack

/// One watched path, of whichever kind, kept in sync: read, watched, read again when the watch fires.
///
/// There is never more than one read on its way; what happens meanwhile makes one more read afterwards.
/// A path that does not exist has a watch on its creation instead; a node's data, though, gets it only
/// after a while: most nodes that go are registrations, which do not come back under the same name and
/// whose watchers leave as soon as they see the directory's list.
@LoopActor final class PathWatch {
  /// Why the path is read, from the least to the most urgent.
  private enum Reason: Int, Comparable {
    /// To find a watch that was lost: reported only when something is different.
    case reconcile
    /// A connection came back: always reported.
    case reconnect
    /// The watch fired, or nothing is known yet.
    case change

    static func < (left: Reason, right: Reason) -> Bool { left.rawValue < right.rawValue }
  }

  /// How long the reading of a deleted node's data waits, for the watchers to leave or the node to return.
  private static let deletionDelay: Duration = .milliseconds(100)
  /// How long after that its creation is watched.
  private static let creationDelay: Duration = .seconds(1)

  private let key: WatchKey
  private let context: SessionContext
  private let cadence: WatchCadence
  /// What was reported last. Of a node's bytes only a digest is kept: they live on in what was made of them, and here it
  /// is enough to see whether others have taken their place.
  private var last: (event: WatchEvent, digest: Int?)?
  private var subscribers: [(number: UInt64, notify: @LoopActor (WatchEvent) -> Void)] = []
  private var lastSubscriber: UInt64 = 0
  private var wanted: Reason?
  private var isReading = false
  private var isStopped = false
  private var hasWatch = false
  /// The node was found missing, and its creation is not watched yet.
  private var isNewlyMissing = false
  private var pacing: ReadPacing
  /// The next read, if it waits.
  private var next: (timer: LoopTimer, due: LoopClock.Instant)?
  private var reconcileTimer: LoopTimer?
  private var reconcileSlot: Int?

  init(_ key: WatchKey, context: SessionContext, cadence: WatchCadence) {
    self.key = key
    self.context = context
    self.cadence = cadence
    pacing = ReadPacing(now: context.clock.now)
  }

  // MARK: Subscribers

  /// The newcomer is told what is known, soon but not before this call returns.
  func add(_ subscriber: @escaping @LoopActor (WatchEvent) -> Void) -> UInt64 {
    lastSubscriber += 1
    let number = lastSubscriber
    subscribers.append((number, subscriber))
    if knownEvent != nil {
      Task { [weak self] in self?.knownEvent.map { self?.notify(number, of: $0) } }
    } else if last != nil {
      request(.change, after: .zero)
    }
    return number
  }

  /// What a newcomer can be told; nil if it has to be read for that.
  private var knownEvent: WatchEvent? { last?.digest == nil ? last?.event : nil }

  /// Removes a subscriber.
  /// - Returns: whether it was the last.
  func remove(_ number: UInt64) -> Bool {
    subscribers.removeAll { $0.number == number }
    guard subscribers.isEmpty else { return false }
    stop()
    return true
  }

  /// Reports nothing any more.
  func stop() {
    isStopped = true
    subscribers = []
    next?.timer.cancel()
    reconcileTimer?.cancel()
    context.session?.watches.ignore(key)
    context.session?.watches.ignore(creation)
  }

  private func report(_ event: WatchEvent) {
    if case .data(let bytes) = event { last = (.data([]), bytes.hashValue) } else { last = (event, nil) }
    for (number, _) in subscribers { notify(number, of: event) }
  }

  /// Whether `event` was reported last; the order of names, which is the server's own affair, does not count.
  private func isKnown(_ event: WatchEvent) -> Bool {
    switch (event, last?.event) {
    case (.children(let names), .children(let known)?): Set(names) == Set(known)
    case (.data(let bytes), .data?): bytes.hashValue == last?.digest
    default: event == last?.event
    }
  }

  /// One that has left meanwhile hears nothing any more.
  private func notify(_ number: UInt64, of event: WatchEvent) {
    subscribers.first { $0.number == number }?.notify(event)
  }

  // MARK: When to read

  /// After a connect. In a new session the watch is gone; in the same one libzookeeper has set it again
  /// and the server tells what happened meanwhile, so that the look to be safe can be spread over time.
  func sessionChanged(isNew: Bool) {
    guard let session = context.connected, !isStopped else { return }
    session.watches.listen(to: key) { [weak self] in self?.fired($0) }
    if isNew || last == nil || wanted == .change {
      hasWatch = false
      request(.change, after: .zero)
    } else if key.kind == .children {
      request(.reconnect, after: cadence.reconnectSpread())
    } else if let wanted {
      // A look that fell due while there was no connection.
      request(wanted, after: cadence.reconnectSpread())
    }
  }

  /// The watch on the path's making while it is missing.
  private var creation: WatchKey {
    WatchKey(kind: key.kind == .children ? .directoryCreation : .nodeCreation, path: key.path)
  }

  private func fired(_ isDeletion: Bool) {
    hasWatch = false
    let pause = pacing.delay(now: context.clock.now)
    request(.change, after: isDeletion && key.kind == .data ? max(pause, Self.deletionDelay) : pause)
  }

  private func request(_ reason: Reason, after delay: Duration) {
    guard !isStopped else { return }
    wanted = max(wanted ?? reason, reason)
    guard !isReading else { return }
    let due = context.clock.now + delay
    if let next, next.timer.isPending, next.due <= due { return }
    next?.timer.cancel()
    next = nil
    if delay == .zero { return start() }
    next = (context.clock.schedule(after: delay) { [weak self] in self?.start() }, due)
  }

  // MARK: Reading

  private func start() {
    guard !isReading, !isStopped, wanted != nil, context.connected != nil else { return }
    isReading = true
    cadence.reads.enter { [weak self] in self?.takeTurn() ?? false }
  }

  /// - Returns: whether there is something to read.
  private func takeTurn() -> Bool {
    guard !isStopped, let reason = wanted, let session = context.connected else {
      isReading = false
      return false
    }
    wanted = nil
    if key.kind == .children { context.metrics.directoryReads.increment() }
    Task.immediate {
      let result = await read(session)
      cadence.reads.leave()
      finish(result, for: reason, in: session)
    }
    return true
  }

  private func read(_ session: ZooKeeperSession) async -> Result<WatchEvent, ZooKeeperError> {
    do throws(ZooKeeperError) {
      return .success(
        key.kind == .children ? try await readChildren(session) : try await readData(session))
    } catch {
      return .failure(error)
    }
  }

  private func readChildren(_ session: ZooKeeperSession) async throws(ZooKeeperError) -> WatchEvent {
    while true {
      hasWatch = session.watches.admit(key)
      do throws(ZooKeeperError) {
        return .children(try await session.children(key.path, watching: hasWatch ? key : nil))
      } catch {
        if error.code != .connectionLoss { session.watches.release(key) }
        guard error.code == .noNode else { throw error }
      }
      if try await isMissing(in: session) { return .missing }
      // It was made between the two requests: read it after all.
    }
  }

  private func readData(_ session: ZooKeeperSession) async throws(ZooKeeperError) -> WatchEvent {
    isNewlyMissing = false
    if last?.event == .missing, try await isMissing(in: session) { return .missing }
    hasWatch = session.watches.admit(key)
    do throws(ZooKeeperError) {
      return .data(try await session.read(key.path, watching: hasWatch ? key : nil).0)
    } catch {
      if error.code != .connectionLoss { session.watches.release(key) }
      guard error.code == .noNode else { throw error }
      hasWatch = false
      isNewlyMissing = true
      return .missing
    }
  }

  /// Looks for the node and watches its creation.
  private func isMissing(in session: ZooKeeperSession) async throws(ZooKeeperError) -> Bool {
    session.watches.listen(to: creation) { [weak self] in self?.fired($0) }
    hasWatch = session.watches.admit(creation)
    return try await session.stat(key.path, watching: hasWatch ? creation : nil) == nil
  }

  private func finish(
    _ result: Result<WatchEvent, ZooKeeperError>, for reason: Reason, in session: ZooKeeperSession
  ) {
    isReading = false
    guard !isStopped else { return }
    let now = context.clock.now
    switch result {
    case .success(let event):
      // What it cost to read, in names.
      let size = if case .children(let names) = event { names.count } else { 1 }
      pacing.didRead(size: size, now: now)
      if isRefused { context.logger.notice("watch resumed", with: [.path: key.path]) }
      if reason != .reconcile || !isKnown(event) { report(event) }
    case .failure(let error) where error.code == .connectionLoss || error.code == .sessionExpired:
      // Asked again as soon as there is a connection.
      wanted = max(wanted ?? reason, reason == .reconcile ? .reconcile : .change)
      if context.connected !== session { sessionChanged(isNew: true) } else { retrySoon() }
      return
    case .failure(let error) where error.code == .closed: return
    case .failure(let error):
      pacing.didRead(size: 0, now: now)
      hasWatch = false
      if last?.event != .failed(error) {
        context.logger.error("watch failed", with: [.path: key.path, .reason: "\(error)"])
        report(.failed(error))
      }
    }
    guard !isStopped else { return }
    armReconcile()
    if let wanted { request(wanted, after: pacing.delay(now: now)) }
  }

  /// The answer was lost but the session says it is connected: its next state is on the way.
  private func retrySoon() {
    guard let wanted else { return }
    request(wanted, after: cadence.reconnectSpread())
  }

  /// Whether the server has refused the last read.
  private var isRefused: Bool { if case .failed = last?.event { true } else { false } }

  private var lookDelay: Duration {
    if isRefused { return cadence.refusalInterval() }
    if isNewlyMissing { return Self.creationDelay }
    return cadence.lookInterval(isWatched: hasWatch, watched: context.session?.watches.count ?? 0)
      * Double.random(in: 0.5...1.5)
  }

  private func armReconcile() {
    reconcileTimer?.cancel()
    reconcileTimer = nil
    let delay = lookDelay
    reconcileSlot = nil
    if delay >= ReconcileWheel.leastDelay {
      reconcileSlot = cadence.wheel.add(after: delay) { [weak self] in self?.reconcile(slot: $0) }
    } else {
      reconcileTimer = context.clock.schedule(after: delay) { [weak self] in self?.request(.reconcile, after: .zero) }
    }
  }

  /// A slot of the wheel has come; only the last one counts.
  private func reconcile(slot: Int) {
    if slot == reconcileSlot { request(.reconcile, after: .zero) }
  }
}
