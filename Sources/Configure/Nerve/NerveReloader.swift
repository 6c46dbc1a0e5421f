internal import AgentKit
internal import Glibc
internal import Reactor

/// Has nerve reload the file that was just put in place.
@LoopActor struct NerveReloader {
  var options: ConfigureNerveOptions
  /// The name nerve's lock goes by.
  var instanceID: String
  var clock = LoopClock.system

  enum Step: Equatable, Sendable, CustomStringConvertible {
    case nothing
    case signal(pid: Int32, stopsBackup: Bool)
    case restart(because: String)
    /// A restart that began earlier has not ended.
    case wait

    var description: String {
      switch self {
      case .nothing: "nerve is left alone"
      case .signal(let pid, _): "SIGHUP to nerve, pid \(pid)"
      case .restart(let reason): "nerve is restarted: \(reason)"
      case .wait: "a restart of nerve is under way"
      }
    }
  }

  /// The gentlest that works: a running nerve reloads by difference and keeps every session.
  func plan(isChanged: Bool) -> Step {
    guard options.outputs.reload != .none else { return .nothing }
    if isHeartbeatOld { return .restart(because: "\(options.outputs.heartbeatPath) was not touched for too long") }
    guard isChanged else { return .nothing }
    if let pid = running { return .signal(pid: pid, stopsBackup: options.outputs.reload == .sighup) }
    switch options.outputs.reload {
    case .none, .restart: return .restart(because: "its configuration changed")
    case .sighup: return .restart(because: "\(options.outputs.nervePidPath) names no running nerve")
    case .auto: return .restart(because: "no running nerve holds a lock in \(options.outputs.nerveStateDir)")
    }
  }

  /// The nerve that a signal reaches; nil where a signal is not the way.
  private var running: Int32? {
    switch options.outputs.reload {
    case .none, .restart: nil
    case .sighup: pidOfFile
    case .auto: runningNerve
    }
  }

  private var isHeartbeatOld: Bool {
    guard Files.isFile(options.outputs.heartbeatPath),
      let touched = Files.modificationTime(options.outputs.heartbeatPath)
    else { return false }
    return touched < clock.unixTime - Double(options.outputs.heartbeatThreshold)
  }

  private var pidOfFile: Int32? {
    guard let bytes = try? Files.read(options.outputs.nervePidPath, limit: 64),
      let pid = Int32(String(decoding: bytes, as: UTF8.self).filter { !$0.isWhitespace }), pid > 0,
      let process = ProcessRecord.read(pid)
    else { return nil }
    // The pid of a nerve that ended may be another program's by now. Upstream's nerve is a script that Ruby runs.
    let isNerve = process.name == "nerve" || process.arguments.prefix(2).contains { Files.name(of: $0) == "nerve" }
    return isNerve ? pid : nil
  }

  private var runningNerve: Int32? {
    let lock = StateDirectory.fileName("lock-\(instanceID)", in: options.outputs.nerveStateDir)
    return InstanceLock.owner(path: lock, program: "nerve")
  }

  // MARK: Doing it

  /// - Throws: when a command fails.
  func run(_ step: Step) async throws {
    switch step {
    case .nothing, .wait: break
    case .signal(let pid, let stopsBackup):
      guard kill(pid, SIGHUP) == 0 else {
        // It ended since it was looked at.
        return try await restart()
      }
      if stopsBackup { await stopBackup() }
    case .restart: try await restart()
    }
  }

  /// The backup nerve registers everything before nerve stops, and goes when nerve had time to do so again. A nerve that
  /// is just being started, or has come back meanwhile, gets a signal and is not stopped.
  private func restart() async throws {
    if [.auto, .sighup].contains(options.outputs.reload), await signalRunning(within: options.startPatience) {
      return await stopBackup()
    }
    do {
      _ = try? await runOperatorCommand(options.outputs.nerveBackupCommand.words + ["start"])
      try await clock.sleep(for: .seconds(options.outputs.nerveRegistrationDelayS))
      if await !signalRunning(within: .zero) {
        try await runOperatorCommand(options.outputs.nerveCommand.words + ["stop"])
        try await runOperatorCommand(options.outputs.nerveCommand.words + ["start"])
      }
      try await clock.sleep(for: .seconds(options.outputs.nerveRegistrationDelayS))
    } catch {
      await stopBackup()
      throw error
    }
    await stopBackup()
  }

  /// - Returns: whether a nerve got the signal.
  private func signalRunning(within limit: Duration) async -> Bool {
    let end = clock.now + limit
    while true {
      if !isHeartbeatOld, let pid = running, kill(pid, SIGHUP) == 0 { return true }
      guard clock.now < end, (try? await clock.sleep(for: .milliseconds(50))) != nil else { return false }
    }
  }

  private func stopBackup() async {
    _ = try? await runOperatorCommand(options.outputs.nerveBackupCommand.words + ["stop"])
  }
}
