internal import AgentKit
internal import Logging
internal import Reactor
internal import SmartStack
internal import ZooKeeper

/// Keeps the ZooKeeper sessions in files, so that the next start, after a crash, carries them on and
/// finds its registrations still there. One file per ensemble and instance, readable by the owner only:
/// whoever knows a session owns its nodes.
@LoopActor final class SessionStore {
  private let state: StateDirectory
  private let instanceID: String
  private let logger: Logger
  private var isBroken = false

  init(state: StateDirectory, instanceID: String, logger: Logger) {
    self.state = state
    self.instanceID = instanceID
    self.logger = logger
  }

  /// What the last run left for `ensemble`.
  func load(_ ensemble: String) -> SavedSession? {
    guard let path = path(ensemble), let bytes = try? Files.read(path, limit: 64 << 10) else { return nil }
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
    // The name holds a hash of the ensemble; the first line makes sure.
    guard lines.count >= 2, lines[0] == ensemble else { return nil }
    return SavedSession(text: String(lines[1]))
  }

  /// Replaces the file. A failure costs the resume after a crash, nothing else.
  func save(_ session: SavedSession, of ensemble: String) {
    guard let path = path(ensemble) else { return }
    do {
      try AtomicFile.write(Array("\(ensemble)\n\(session.text)\n".utf8), to: path, mode: 0o600, sync: false)
      isBroken = false
    } catch {
      if !isBroken {
        logger.warning("session not saved; a crash would not resume it", [.ensemble: ensemble, .reason: error])
      }
      isBroken = true
    }
  }

  /// The session has been ended: nobody shall try to carry it on.
  func forget(_ ensemble: String) {
    if let path = path(ensemble) { _ = try? Files.remove(path) }
  }

  private func path(_ ensemble: String) -> String? {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in ensemble.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return state.path(for: "session-\(instanceID)-\(String(hash, radix: 16))")
  }
}
