internal import HAProxyConfigGen
internal import HAProxyRuntime
internal import Logging
internal import Reactor
internal import SmartStack

/// Decides when HAProxy is reloaded, and why; reloads it.
@LoopActor final class ReloadPolicy {
  /// Servers that left stay in HAProxy's memory (before 2.6.13 they cannot be deleted without danger). More of
  /// them than this are dropped by a reload.
  private static let leftoverLimit = 1000
  private static let historyLimit = 50

  private let configuration: HAProxyConfiguration
  private let sockets: SocketSync
  private let file: FileSync
  private let clock: LoopClock
  private let logger: Logger
  private let metrics: HAProxyMetrics
  /// The file that says that an earlier run replaced HAProxy's and did not get to the reload; nil: nowhere.
  private let marker: String?
  private var schedule: ReloadSchedule
  private var budget = ReloadBudget()
  /// The last attempts, oldest first: when (in seconds since 1970), why, what went wrong (nil: nothing), how long.
  private(set) var history: [(at: Double, reason: String, failure: String?, elapsed: Duration)] = []
  /// When servers that came at run time are to become the file's; nil: there are none, or never.
  private var foldDue: LoopClock.Instant?
  /// Servers that left and are still in HAProxy's memory, as of the last minute.
  private var leftovers = 0
  /// Whether the file has been replaced since HAProxy loaded one; only kept where no socket tells.
  private var isFileUnloaded: Bool
  /// Reasons that a reload has not ended, where the file is not ours; another reload would not either.
  private var fruitless: Set<ReloadReason> = []
  /// A reload that has begun is given this time more to end: who comes next would not know what it has loaded.
  private static let patience: Duration = .seconds(2)
  /// Until when a reload is waited for; nil: until its own deadline.
  private var stop: LoopClock.Instant?

  init(
    _ configuration: HAProxyConfiguration, marker: String?, sockets: SocketSync, file: FileSync, clock: LoopClock,
    logger: Logger, metrics: HAProxyMetrics
  ) {
    self.configuration = configuration
    self.marker = marker
    self.sockets = sockets
    self.file = file
    self.clock = clock
    self.logger = logger
    self.metrics = metrics
    schedule = ReloadSchedule(interval: configuration.reloadInterval, jitter: configuration.reloadJitter)
    let isPending = marker.map(Files.exists) ?? false
    isFileUnloaded = isPending
    if isPending { file.markUnloaded() }
  }

  // MARK: Reasons

  var isReloadDue: Bool { reason != nil }

  /// Why HAProxy is to be reloaded; nil: it is not.
  private var reason: String? {
    if sockets.sockets.isEmpty { return isFileUnloaded ? "its file is new" : nil }
    let now = clock.now
    let isDue: (ReloadReason) -> Bool = { [fruitless, budget] in
      !fruitless.contains($0) && budget.delay(of: $0.service, now: now) == .zero
    }
    if let reason = sockets.reloadReasons.first(where: isDue) { return reason.description }
    if isFoldDue { return "servers added at run time become the file's" }
    return leftovers > ReloadPolicy.leftoverLimit ? "many servers have left" : nil
  }

  /// Whether servers that came at run time are waiting to become the file's.
  var isFoldPlanned: Bool { foldDue != nil }

  /// Whether it is time to make servers that came at run time the file's own: only those use idle connections again
  /// (HAProxy 2.6) and inherit what was changed in `default-server`.
  private var isFoldDue: Bool {
    guard let foldDue, sockets.hasAddedServers else { return false }
    return clock.now >= foldDue
  }

  /// Counts the servers that left, and sets the date of the next fold when there is something to fold.
  func everyMinute() {
    leftovers = sockets.leftovers
    guard configuration.foldInterval > .zero, sockets.hasAddedServers else {
      foldDue = nil
      return
    }
    if foldDue == nil {
      foldDue = clock.now + configuration.foldInterval * Double.random(in: 1...1.5)
    }
  }

  // MARK: In-place upgrade

  /// How long the next reload has to wait.
  var delay: Duration { schedule.delay(now: clock.now) }

  /// Keeps the distance to the last reload of the program before this one.
  func wait(_ delay: Duration) { schedule.wait(delay, now: clock.now) }

  // MARK: The pending marker

  /// Records that the file is about to be replaced and HAProxy not yet reloaded.
  func markPending() {
    guard let marker, !sockets.reloadReasons.isEmpty || sockets.sockets.isEmpty else { return }
    do { try Files.write([], to: marker, mode: 0o600, sync: false) } catch {
      logger.warning("reload marker write failed", with: [.path: marker, .reason: error])
    }
  }

  func recordReplacedFile() { if sockets.sockets.isEmpty { isFileUnloaded = true } }

  private func clearPending() {
    guard let marker, sockets.isReachable, Files.exists(marker) else { return }
    _ = try? Files.remove(marker)
  }

  // MARK: Reloading

  /// Gives up waiting for a new process, soon.
  func end() { stop = clock.now + ReloadPolicy.patience }

  /// Reloads HAProxy if there is a reason, somebody may reload it and the schedule allows it.
  /// - Returns: whether it was reloaded, and how long to wait before asking again; nil: there is nothing to wait for.
  func reloadIfDue() async -> (isReloaded: Bool, retryAfter: Duration?) {
    // The repair of the file may have changed the model.
    await sockets.waitUntilSynced()
    let postponement = postpone()
    guard let reason else {
      if postponement == nil { clearPending() }
      return (false, postponement)
    }
    // While servers come and go the file is always a little behind: what the reload is for must be in it.
    guard let method = configuration.reload, file.holds(sockets.neededRevision ?? 0) else { return (false, nil) }
    let wait = delay
    if wait > .zero { return (false, wait) }
    var dice = SystemRandomNumberGenerator()
    schedule.started(now: clock.now, using: &dice)
    // A file that is behind may well leave a reason.
    let reasons = file.isCurrent ? Set(sockets.reloadReasons) : []
    let services = Set(sockets.reloadReasons.compactMap(\.service))
    logger.notice("HAProxy reload started", with: [.reason: reason, .command: method.description])
    let start = clock.now
    let failure = await reload(by: method)
    history.append((clock.unixTime, reason, failure, clock.now - start))
    if history.count > ReloadPolicy.historyLimit { history.removeFirst() }
    metrics.countReload(isGood: failure == nil)
    if let failure {
      schedule.failed(now: clock.now, using: &dice)
      logger.error(
        "HAProxy reload failed",
        with: [.reason: failure, .attempt: schedule.failures, .delay: delay, .command: method.description])
      return (false, max(delay, .milliseconds(10)))
    }
    schedule.succeeded()
    let now = clock.now
    budget.charge(services.filter { budget.delay(of: $0, now: now) == .zero }, now: now)
    leftovers = 0
    isFileUnloaded = false
    logger.notice("HAProxy reloaded", with: [.elapsed: clock.now - start])
    if stop != nil {
      clearPending()
      return (true, nil)
    }
    await sockets.waitUntilSynced()
    noteEffect(on: reasons)
    let rest = postpone()
    if !isReloadDue, rest == nil { clearPending() }
    return (true, rest)
  }

  /// A reload that has ended no reason is not repeated at once: HAProxy loads another file than it is to.
  private func noteEffect(on reasons: Set<ReloadReason>) {
    let left = Set(sockets.reloadReasons)
    fruitless = configuration.writesFile ? [] : left.intersection(reasons)
    guard let first = left.min(), left == reasons, file.isCurrent else { return }
    logger.warning("HAProxy reload without effect", with: [.path: configuration.filePath, .reason: first])
    var dice = SystemRandomNumberGenerator()
    if configuration.writesFile { schedule.failed(now: clock.now, using: &dice) }
  }

  /// Lets the services wait whose budget is used up.
  /// - Returns: the shortest wait; nil: there are none.
  private func postpone() -> Duration? {
    let (wait, news) = budget.postpone(sockets.reloadReasons, now: clock.now)
    for (reason, delay) in news {
      logger.warning(
        "reload postponed", with: [.service: reason.service ?? "", .reason: reason, .delay: delay])
    }
    return wait
  }

  /// Starts all budgets again: a person has changed the configuration.
  func resetBudgets() { budget = ReloadBudget() }

  /// - Returns: why it failed; nil when it did not.
  private func reload(by method: ReloadMethod) async -> String? {
    let shortage = await sockets.descriptorShortage(global: configuration.generator.global)
    if let shortage { logger.warning("descriptor limit too low", with: [.reason: shortage]) }
    await saveServerState()
    let reloader = ProxyReloader(method: method, timeout: configuration.reloadTimeout, clock: clock)
    await sockets.willReload(await file.loadedConfiguration())
    let start = clock.unixTime
    let failure = await reloader.reload(sockets.sockets, unless: { stop.map { clock.now >= $0 } ?? false })
    if failure == nil { file.markLoaded(at: start) }
    await sockets.didReload(isDone: failure == nil)
    // Before 2.7 HAProxy gives its reason to its own log alone.
    if let failure, let shortage { return "\(failure); \(shortage)" }
    return failure
  }

  /// The new worker reads there which servers were up: written at the last moment, as an old address in it would win
  /// over the file's.
  private func saveServerState() async {
    guard let path = configuration.serverStatePath, let socket = sockets.sockets.first else { return }
    do {
      let text = try await socket.serverState()
      try await BlockingWork.run { try Files.write(Array(text.utf8), to: path, mode: 0o644, sync: false) }
    } catch {
      // Without it the new worker counts every server as up until it is checked.
      logger.warning("server state write failed", with: [.path: path, .reason: "\(error)"])
    }
  }
}
