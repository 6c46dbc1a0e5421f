public import Reactor

/// How HAProxy is made to load its file.
public enum ReloadMethod: Hashable, Sendable {
  /// `reload_command`, run by the shell.
  case command(String)
  /// `master_socket`: the master's command line (`haproxy -W -S PATH`).
  case masterSocket(String)

  /// One phrase for the log.
  public var description: String {
    switch self {
    case .command(let text): text
    case .masterSocket(let path): "reload at \(path)"
    }
  }
}

/// Makes HAProxy load its file, and finds out whether it did: only another worker's answer counts.
@LoopActor public struct ProxyReloader {
  private let method: ReloadMethod
  private let timeout: Duration
  private let clock: LoopClock

  /// The longest time a new worker takes to answer once the reload was accepted.
  private static let switchLimit: Duration = .seconds(10)
  private static let pause: Duration = .milliseconds(20)

  /// - Parameter timeout: for the command, and then again for the new worker to answer.
  public init(method: ReloadMethod, timeout: Duration, clock: LoopClock) {
    self.method = method
    self.timeout = timeout
    self.clock = clock
  }

  /// Reloads once.
  /// - Parameters:
  ///   - sockets: those of the processes that are to be replaced.
  ///   - isStopped: whether to give up waiting.
  /// - Returns: why it failed; nil when it did not.
  public func reload(_ sockets: [ProxySocket], unless isStopped: @LoopActor () -> Bool) async -> String? {
    let before = sockets.map(\.info)
    switch method {
    case .command(let command):
      if let failure = await run(command) { return failure }
    case .masterSocket(let path):
      if let failure = await reload(by: MasterSocket(path: path), unless: isStopped) { return failure }
    }
    for (socket, known) in zip(sockets, before) {
      let isReplaced: @LoopActor () async -> Bool = {
        guard let now = try? await socket.currentInfo() else { return false }
        return known.map { !now.isSameProcess(as: $0) } ?? true
      }
      guard await holds(isReplaced, unless: isStopped) else {
        return "no new process answers at \(socket.path) within \(patience)"
      }
    }
    return nil
  }

  private var patience: Duration { min(timeout, ProxyReloader.switchLimit) }

  private func run(_ command: String) async -> String? {
    do {
      let result = try await ChildProcess.run("/bin/sh", arguments: ["-c", command], deadline: timeout)
      if result.status == .exited(0) { return nil }
      let output = String(decoding: (result.output + result.errorOutput).suffix(1000), as: UTF8.self)
      return "the command ended with \(result.status): \(output)"
    } catch {
      return "\(error)"
    }
  }

  private func reload(
    by master: MasterSocket, unless isStopped: @LoopActor () -> Bool
  ) async -> String? {
    do {
      let before = try await master.processes(within: timeout)
      try await master.reload(within: timeout)
      var hasFailed = false
      let hasSwitched: @LoopActor () async -> Bool = {
        guard let now = try? await master.processes(within: .seconds(2)) else { return false }
        hasFailed = now.failedReloads > before.failedReloads
        return hasFailed || !now.current.isEmpty && Set(now.current).isDisjoint(with: before.current)
      }
      let isDone = await holds(hasSwitched, unless: isStopped)
      if hasFailed { return "the master at \(master.path) could not load the file and keeps the worker it has" }
      return isDone ? nil : "the master at \(master.path) has no new worker within \(patience)"
    } catch {
      return "\(error)"
    }
  }

  /// Waits until `condition` holds: another process than the one before answers.
  private func holds(
    _ condition: @LoopActor () async -> Bool, unless isStopped: @LoopActor () -> Bool
  ) async -> Bool {
    let end = clock.now + patience
    while clock.now < end, !isStopped() {
      if await condition() { return true }
      do { try await clock.sleep(for: ProxyReloader.pause) } catch { return false }
    }
    return false
  }
}
