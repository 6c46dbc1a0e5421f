internal import HAProxyConfigGen
internal import HAProxyRuntime
internal import Logging
internal import Reactor
internal import SmartStack

/// Reloading: the last part of the slow task's round.
extension HAProxyOutput {
  /// Servers that left stay in HAProxy's memory (before 2.6.13 they cannot be deleted without danger). More of
  /// them than this are dropped by a reload.
  private static let leftoverLimit = 1000

  var mustReload: Bool {
    if sockets.isEmpty { return isFileUnloaded }
    return !reloadReasons.isEmpty || leftovers > HAProxyOutput.leftoverLimit || isFoldDue
  }

  func countLeftovers() {
    leftovers =
      sockets.map { socket in socket.running.map { Planner.leftovers(running: $0, wanted: model) } ?? 0 }.max() ?? 0
  }

  private var cause: String {
    if let reason = reloadReasons.first { return reason }
    if sockets.isEmpty { return "its file is new" }
    return isFoldDue ? "servers added at run time become the file's" : "many servers have left"
  }

  func reloadIfNeeded() async {
    // The repair of the file may have changed what is wanted.
    await settled()
    guard mustReload else {
      clearReloadPending()
      return
    }
    guard let method = configuration.reload, fileRevision == revision || !configuration.writesFile else { return }
    let wait = schedule.delay(now: clock.now)
    if wait > .zero {
      slowWork.set(after: wait)
      return
    }
    schedule.started(now: clock.now, using: &generator)
    let reason = cause
    logger.notice("reloading HAProxy", with: [.reason: reason, .command: method.description])
    let start = clock.now
    let failure = await reload(method)
    history.add(ReloadRecord(at: clock.unixTime, reason: reason, failure: failure, elapsed: clock.now - start))
    if let failure {
      failed(failure, method)
      return
    }
    schedule.succeeded()
    leftovers = 0
    instruments.reloaded(true)
    logger.notice("HAProxy is reloaded", with: [.elapsed: clock.now - start])
    isFileUnloaded = false
    await settled()
    boundOldWorkers()
    if !mustReload { clearReloadPending() }
  }

  private func failed(_ failure: String, _ method: ReloadMethod) {
    schedule.failed(now: clock.now, using: &generator)
    instruments.reloaded(false)
    let delay = schedule.delay(now: clock.now)
    logger.error(
      "HAProxy was not reloaded",
      with: [.reason: failure, .attempt: schedule.failures, .delay: delay, .command: method.description])
    slowWork.set(after: max(delay, .milliseconds(10)))
  }

  /// - Returns: why it failed; nil when it did not.
  private func reload(_ method: ReloadMethod) async -> String? {
    let loaded = loadedFromFile()
    await saveServerState()
    let reloader = ProxyReloader(method: method, timeout: configuration.reloadTimeout, clock: clock)
    if let failure = await reloader.reload(sockets, unless: { isStopped }) { return failure }
    for socket in sockets {
      socket.setLoaded(loaded)
      socket.observeAgain()
    }
    act()
    return nil
  }

  /// The new worker reads there which servers were up: written at the last moment, as an old address in it would win
  /// over the file's.
  private func saveServerState() async {
    guard let path = configuration.serverStatePath, let socket = sockets.first else { return }
    do {
      let text = try await socket.serverState()
      try await BlockingWork.run { try AtomicFile.write(Array(text.utf8), to: path, mode: 0o644, sync: false) }
    } catch {
      // Without it the new worker takes every server for up until it is checked, as it always did.
      logger.warning(
        "HAProxy's server state cannot be saved before the reload", with: [.path: path, .reason: "\(error)"])
    }
  }

  // MARK: A reload at leisure

  /// Whether it is time to make servers that came at run time the file's own: only those use idle connections again
  /// (HAProxy 2.6) and inherit what was changed in `default-server`.
  private var isFoldDue: Bool {
    guard let foldDue, sockets.contains(where: { $0.addedServers > 0 }) else { return false }
    return clock.now >= foldDue
  }

  /// Looked at once a minute: the date is set when there is something to fold, and lifted when a reload has done it.
  func planFold() {
    guard configuration.foldInterval > .zero, sockets.contains(where: { $0.addedServers > 0 }) else {
      foldDue = nil
      return
    }
    if foldDue == nil {
      foldDue = clock.now + configuration.foldInterval * Double.random(in: 1...1.5, using: &generator)
    }
  }

  // MARK: A reload that a crash interrupted

  /// Whether an earlier run replaced the file and did not get to the reload.
  var isReloadPending: Bool { reloadMarker.map(Files.exists) ?? false }

  func markReloadPending() {
    guard let reloadMarker, !reloadReasons.isEmpty || sockets.isEmpty else { return }
    do { try AtomicFile.write([], to: reloadMarker, mode: 0o600, sync: false) } catch {
      logger.warning("cannot note that a reload is pending", with: [.path: reloadMarker, .reason: error])
    }
  }

  private func clearReloadPending() {
    guard let reloadMarker, isReachable, isReloadPending else { return }
    _ = try? Files.remove(reloadMarker)
  }
}
