internal import AgentKit
internal import Glibc
internal import Hacheck
internal import Logging
internal import Reactor
internal import SmartStack
internal import ZooKeeper

/// SIGUSR2: another program in this one's place, most often a newer nerve.
///
/// Process id, ZooKeeper sessions, registrations, what the checks have seen and hacheck's sockets stay.
extension Agent {
  /// How long requests to hacheck that are under way get.
  private static let replaceLimit = Duration.seconds(1)

  func replaceSoon() {
    guard !isBeingReplaced, let path = ProcessImage.path else { return }
    isBeingReplaced = true
    Task { @LoopActor in
      if let refusal = await ProgramTrial.refusal(of: path) {
        logger.error("program not replaced, this one goes on", [.path: path, .reason: refusal])
      } else if process?.isStopping != true {
        await replace(by: path)
      }
      isBeingReplaced = false
    }
  }

  private func replace(by path: String) async {
    logger.notice("program is replaced", [.path: path])
    process?.reloading()
    await hacheck?.service.retire(within: Agent.replaceLimit)
    if process?.isStopping == true { return }
    var succession = Succession(
      sessions: (ensembles?.sessions ?? [:]).mapValues(\.text), lock: lock?.surrender())
    for runner in (services?.runners ?? [:]).values { succession.remember(runner) }
    if let hacheck, hacheck.isListening {
      let listeners = hacheck.listeners
      succession.leave(listeners: listeners.descriptors, at: listeners.place)
    }
    services?.leave()
    await registries?.abandonAll()
    do {
      try succession.handover.replaceProcess(by: path)
    } catch {
      // The sessions are left already: the next start, by whoever supervises us, carries them on.
      logger.error("program cannot be replaced, ending for a restart", [.path: path, .reason: error])
      exit(1)
    }
  }
}
