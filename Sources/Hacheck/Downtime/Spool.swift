internal import Logging
internal import Reactor
internal import SmartStack

/// The operators' downtimes, in memory and on disk.
///
/// The folder's files are the truth; the copy in memory follows them by event, whoever wrote them: a tool,
/// an editor, or ``apply(_:to:)``. After a change made here the copy is read again before the call returns.
@LoopActor final class Spool {
  private let directory: SpoolDirectory
  private let clock: LoopClock
  private let logger: Logger
  private var downtimes: [String: Downtime] = [:]
  /// Files that could not be read, and are tried again.
  private var unread: Set<String> = []
  private var watch: FileWatch?
  private var expiry: LoopTimer?
  /// What ``expiry`` waits for, in seconds since 1970. The downtime may be lifted by then; the timer finds that out.
  private var armedFor: Double?
  private var observers: [Int: @LoopActor (Set<SpoolScope>) -> Void] = [:]
  private var nextObserver = 0
  /// The downtimes found at the start are not logged one by one.
  private var hasStarted = false
  /// Changes are made one after the other, so that the last one asked for is the one that stays.
  private var lastChange: Task<Void, Never>?

  /// A wall clock that jumps is noticed, and what could not be read is tried again, after this long at the latest.
  private static let longestTimer = Duration.seconds(60)

  /// A file under construction is an older crash's after this many seconds.
  private static let buildingTime = 60.0

  init(root: String, clock: LoopClock, logger: Logger) {
    directory = SpoolDirectory(root: root)
    self.clock = clock
    self.logger = logger
  }

  /// Reads all downtimes, and from then on follows the folder.
  func open() throws {
    guard watch == nil else { return }
    do {
      try directory.prepare(forWriting: false)
      // Watched before it is read: what changes in between is read twice, not never.
      watch = try FileWatch(path: directory.root) { [weak self] names in self?.filesChanged(names) }
      directory.removeUnfinished(olderThan: clock.unixTime - Spool.buildingTime)
      try reload()
      hasStarted = true
      problem = nil
      logger.info("spool read", with: [.path: directory.root, .count: downtimes.count])
    } catch {
      close()
      problem = "\(error)"
      throw error
    }
  }

  /// Stops following the folder; the known downtimes stay active.
  func close() {
    watch?.cancel()
    watch = nil
    expiry?.cancel()
    (expiry, armedFor) = (nil, nil)
    problem = "it was closed"
  }

  // MARK: Questions

  /// Why the folder is not followed; nil as long as it is.
  private(set) var problem: String? = "it was not opened yet"

  /// All downtimes by the names of their files; some may be over and not lifted yet.
  var all: [String: Downtime] { downtimes }

  /// The number of known downtimes.
  var count: Int { downtimes.count }

  /// Numbers of downtimes by kind of scope.
  var countByScope: (everything: Int, service: Int, instance: Int) {
    var counts = (everything: 0, service: 0, instance: 0)
    for downtime in downtimes.values {
      switch downtime.scope {
      case .everything: counts.everything += 1
      case .service: counts.service += 1
      case .instance: counts.instance += 1
      }
    }
    return counts
  }

  /// The active downtime: `all`, the service's, its instance's, in that order.
  /// - Parameter host: nil for this machine.
  func downtime(for service: String, port: Int?, host: String?) -> Downtime? {
    if downtimes.isEmpty { return nil }
    if let downtime = active("all") ?? active(service) { return downtime }
    guard let port else { return nil }
    return active(host.map { "\(service):\($0):\(port)" } ?? "\(service):\(port)")
  }

  private func active(_ name: String) -> Downtime? {
    guard let downtime = downtimes[name] else { return nil }
    // The timer lifts it; until it does, its own expiration counts.
    return downtime.expiration == nil || !downtime.hasExpired(at: clock.unixTime) ? downtime : nil
  }

  // MARK: Changes

  /// Makes a change. It is active, and on the disk, when the call returns; lifting what is not there is harmless.
  /// - Throws: what the disk said; that is in the log already.
  func apply(_ request: SpoolRequest, to scope: SpoolScope) async throws {
    let now = clock.unixTime
    do {
      try await change(scope.description) { directory, name in
        switch request {
        case .up: try directory.up(name)
        case .down(let reason, let expiration, let creation, let setter):
          try directory.down(
            name, reason: reason, expiration: expiration, creation: creation, setter: setter, now: now)
        }
      }
    } catch {
      logger.error("spool cannot be changed", with: [.scope: scope, .reason: "\(error)"])
      throw error
    }
  }

  /// The file is changed first, then the change is in force and the observers know, and only then is the
  /// disk waited for: a drain does not wait for `fsync`, its acknowledgement does.
  private func change(
    _ name: String, by body: @escaping @Sendable (SpoolDirectory, String) throws -> Void
  ) async throws {
    let directory = directory
    let before = lastChange
    let mine = Task { @LoopActor in
      await before?.value
      // Also after a refusal: what the file says then is what holds, and in the folder that the path leads to now.
      defer {
        watch?.audit()
        refresh([name])
      }
      try await BlockingWork.run { try body(directory, name) }
    }
    lastChange = Task { _ = await mine.result }
    try await mine.value
    try await BlockingWork.run { try directory.sync(name) }
  }

  // MARK: Following the folder

  private func filesChanged(_ names: [String]?) {
    if let names {
      refresh(names)
      return
    }
    do {
      try reload()
      if problem != nil { logger.notice("spool is read again", with: [.path: directory.root]) }
      problem = nil
    } catch {
      problem = "\(error)"
      logger.error("spool cannot be read, the known downtimes stay", with: [.path: directory.root, .reason: error])
    }
  }

  private func reload() throws(FileError) {
    let names = try directory.names()
    if downtimes.isEmpty {
      downtimes.reserveCapacity(names.count)
      refresh(names)
    } else {
      refresh(Set(names).union(downtimes.keys))
    }
  }

  /// Reads these downtimes again, and notifies the observers of what differs.
  private func refresh(_ names: some Collection<String>) {
    var changed: Set<SpoolScope> = []
    var soonest: Double?
    for name in names where SpoolDirectory.isName(name) {
      let known = downtimes[name]
      let found = read(name, else: known)
      guard found != known else { continue }
      downtimes[name] = found
      if let end = found?.expiration { soonest = min(soonest ?? end, end) }
      changed.insert(found?.scope ?? SpoolScope(fileName: name))
      if hasStarted { log(found, named: name) }
    }
    if !unread.isEmpty { armExpiry(clock.unixTime + Spool.longestTimer.seconds) }
    guard !changed.isEmpty else { return }
    if let soonest { armExpiry(soonest) }
    for observer in observers.values { observer(changed) }
  }

  /// The downtime as its file says now; nil if there is none, or none any more. Its file is removed then.
  private func read(_ name: String, else known: Downtime?) -> Downtime? {
    let now = clock.unixTime
    let found: Downtime?
    do {
      found = try directory.read(name)
      unread.remove(name)
    } catch {
      // Somebody asked for a downtime, and may have prolonged it: it holds until the file says otherwise.
      if unread.insert(name).inserted {
        logger.error("downtime cannot be read, it holds", with: [.scope: name, .reason: error])
      }
      return known?.hasExpired(at: now) == false ? known : Downtime(unread: name, because: error)
    }
    guard let found, found.hasExpired(at: now) else { return found }
    do {
      try directory.removeExpired(name, now: now)
    } catch {
      logger.error("downtime cannot be removed", with: [.scope: name, .reason: error])
    }
    return nil
  }

  private func log(_ downtime: Downtime?, named name: String) {
    if let downtime {
      logger.notice(
        "downtime set",
        with: [
          .scope: name, .reason: downtime.reason, .by: downtime.setter ?? "unknown",
          .until: downtime.expiration.map { $0.dateInWords ?? "\($0)" } ?? "lifted by hand",
        ])
    } else {
      logger.notice("downtime lifted", with: [.scope: name])
    }
  }

  // MARK: Expiry

  /// Makes sure that the timer fires at `next` or before.
  private func armExpiry(_ next: Double) {
    if expiry != nil, let armedFor, armedFor <= next { return }
    expiry?.cancel()
    armedFor = next
    // A downtime is over only after its second has passed, and timers are not finer than this anyway.
    let wait = Duration.seconds(max(0, min(next - clock.unixTime, Spool.longestTimer.seconds))) + .milliseconds(1)
    expiry = clock.schedule(after: wait) { [weak self] in self?.expire() }
  }

  private func expire() {
    let now = clock.unixTime
    (expiry, armedFor) = (nil, nil)
    refresh(unread.union(downtimes.filter { $0.value.hasExpired(at: now) }.keys))
    if let next = downtimes.values.lazy.compactMap(\.expiration).min() { armExpiry(next) }
  }

  // MARK: Observers

  /// Calls `body` after each change.
  /// - Returns: ends the calls.
  func observe(_ body: @escaping @LoopActor (Set<SpoolScope>) -> Void) -> @LoopActor () -> Void {
    nextObserver += 1
    let number = nextObserver
    observers[number] = body
    return { [weak self] in self?.observers[number] = nil }
  }
}

/// A change of the spool: what a `POST` wants done with one scope.
enum SpoolRequest: Equatable {
  case up
  /// Times are seconds since 1970; without an `expiration` the downtime has no end, without a `creation` it begins now,
  /// or when a downtime of the same reason began. The `setter` is the address that asked.
  case down(reason: String, expiration: Double? = nil, creation: Double? = nil, setter: String? = nil)
}
