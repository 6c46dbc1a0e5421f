internal import Logging
internal import Reactor
internal import SmartStack

/// The operators' marks, in memory and on disk.
///
/// The folder's files are the truth; the copy in memory follows them by event, whoever wrote them: a tool,
/// an editor, or ``down(_:reason:expiration:creation:)``. After a change made here the copy is read anew
/// before the call returns.
@LoopActor final class Spool {
  private let directory: SpoolDirectory
  private let clock: LoopClock
  private let logger: Logger
  private var marks: [String: SpoolMark] = [:]
  private var watch: FileWatch?
  private var expiry: LoopTimer?
  /// What ``expiry`` waits for, in seconds since 1970. The mark may be lifted by then; the timer finds that out.
  private var armedFor: Double?
  private var observers: [Int: @LoopActor (Set<SpoolScope>) -> Void] = [:]
  private var nextObserver = 0
  /// The marks found at the start are old news.
  private var hasStarted = false
  /// Changes are made one after the other, so that the last one asked for is the one that stays.
  private var lastChange: Task<Void, Never>?

  /// A wall clock that jumps is noticed after this long at the latest.
  private static let longestTimer = Duration.seconds(60)

  init(root: String, clock: LoopClock, logger: Logger) {
    directory = SpoolDirectory(root: root)
    self.clock = clock
    self.logger = logger
  }

  /// Reads all marks, and from then on follows the folder.
  func open() throws(HacheckError) {
    guard watch == nil else { return }
    do {
      try directory.prepare(forWriting: false)
      // Watched before it is read: what changes in between is read twice, not never.
      watch = try FileWatch(path: directory.root) { [weak self] names in self?.filesChanged(names) }
      try reload()
      hasStarted = true
      problem = nil
      logger.info("spool read", [.path: directory.root, .count: marks.count])
    } catch {
      close()
      problem = "\(error)"
      throw .spoolUnusable(path: directory.root, reason: "\(error)")
    }
  }

  /// Stops following the folder; the marks known stay in force.
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

  /// All marks by the names of their files; some may be over and not lifted yet.
  var allMarks: [String: SpoolMark] { marks }

  /// How many marks there are.
  var count: Int { marks.count }

  /// How many marks there are by kind of scope.
  var countByScope: (everything: Int, service: Int, instance: Int) {
    var counts = (everything: 0, service: 0, instance: 0)
    for mark in marks.values {
      switch mark.scope {
      case .everything: counts.everything += 1
      case .service: counts.service += 1
      case .instance: counts.instance += 1
      }
    }
    return counts
  }

  /// The mark in force: `all`, the service's, its instance's, in that order.
  /// - Parameter host: nil for this machine.
  func mark(for service: String, port: Int?, host: String?) -> SpoolMark? {
    if marks.isEmpty { return nil }
    if let mark = inForce("all") ?? inForce(service) { return mark }
    guard let port else { return nil }
    return inForce(host.map { "\(service):\($0):\(port)" } ?? "\(service):\(port)")
  }

  private func inForce(_ name: String) -> SpoolMark? {
    guard let mark = marks[name] else { return nil }
    // The timer lifts it; until it does, the mark's own word counts.
    return mark.expiration == nil || !mark.hasExpired(at: clock.unixTime) ? mark : nil
  }

  // MARK: Changes

  /// Sets a mark. In force, and in the file, when it returns.
  func down(_ scope: SpoolScope, reason: String, expiration: Double?, creation: Double?) async throws {
    let now = clock.unixTime
    try await change(scope.description) { directory, name in
      try directory.down(name, reason: reason, expiration: expiration, creation: creation, now: now)
    }
  }

  /// Lifts a mark; harmless if there is none.
  func up(_ scope: SpoolScope) async throws {
    try await change(scope.description) { directory, name in try directory.up(name) }
  }

  /// The file is changed first, then the change is in force and the observers know, and only then is the
  /// disk waited for: a drain does not wait for `fsync`, its acknowledgement does.
  private func change(
    _ name: String, _ body: @escaping @Sendable (SpoolDirectory, String) throws -> Void
  ) async throws {
    let directory = directory
    let before = lastChange
    let mine = Task { @LoopActor in
      await before?.value
      // Also after a refusal: what the file says then is what holds.
      defer { refresh([name]) }
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
      if problem != nil { logger.notice("spool is read again", [.path: directory.root]) }
      problem = nil
    } catch {
      problem = "\(error)"
      logger.error("spool cannot be read, the known marks stay", [.path: directory.root, .reason: error])
    }
  }

  private func reload() throws(FileError) {
    let names = try directory.names()
    if marks.isEmpty {
      marks.reserveCapacity(names.count)
      refresh(names)
    } else {
      refresh(Set(names).union(marks.keys))
    }
  }

  /// Reads these marks anew, and tells the observers what differs.
  private func refresh(_ names: some Collection<String>) {
    var changed: Set<SpoolScope> = []
    var soonest: Double?
    for name in names where SpoolDirectory.isName(name) {
      let known = marks[name]
      let found = read(name, else: known)
      guard found != known else { continue }
      marks[name] = found
      if let end = found?.expiration { soonest = min(soonest ?? end, end) }
      changed.insert(found?.scope ?? SpoolScope(fileName: name))
      if hasStarted { log(name, found) }
    }
    guard !changed.isEmpty else { return }
    if let soonest { armExpiry(soonest) }
    for observer in observers.values { observer(changed) }
  }

  /// The mark as its file says now; nil if there is none, or none any more. Its file is removed then.
  private func read(_ name: String, else known: SpoolMark?) -> SpoolMark? {
    do {
      guard let mark = try directory.read(name)?.mark(SpoolScope(fileName: name)) else { return nil }
      guard mark.hasExpired(at: clock.unixTime) else { return mark }
      try directory.removeExpired(name, now: clock.unixTime)
      return nil
    } catch {
      logger.error("a mark cannot be read or removed", [.scope: name, .reason: error])
      return known?.hasExpired(at: clock.unixTime) == true ? nil : known
    }
  }

  private func log(_ name: String, _ mark: SpoolMark?) {
    if let mark {
      logger.notice("marked down", [.scope: name, .reason: mark.reason])
    } else {
      logger.notice("mark lifted", [.scope: name])
    }
  }

  // MARK: Expiry

  /// Makes sure that the timer fires at `next` or before.
  private func armExpiry(_ next: Double) {
    if expiry != nil, let armedFor, armedFor <= next { return }
    expiry?.cancel()
    armedFor = next
    // A mark is over only after its second has passed, and timers are not finer than this anyway.
    let wait = Duration.seconds(max(0, min(next - clock.unixTime, Spool.longestTimer.seconds))) + .milliseconds(1)
    expiry = clock.schedule(after: wait) { [weak self] in self?.expire() }
  }

  private func expire() {
    let now = clock.unixTime
    (expiry, armedFor) = (nil, nil)
    refresh(marks.filter { $0.value.hasExpired(at: now) }.map(\.key))
    if let next = marks.values.lazy.compactMap(\.expiration).min() { armExpiry(next) }
  }

  // MARK: Observers

  /// Calls `body` after each change.
  func observe(_ body: @escaping @LoopActor (Set<SpoolScope>) -> Void) -> SpoolObservation {
    nextObserver += 1
    let number = nextObserver
    observers[number] = body
    return SpoolObservation { [weak self] in self?.observers[number] = nil }
  }
}
