public import Logging
public import Reactor
internal import SmartStack
internal import ZooKeeper

/// Keeps the ZooKeeper sessions in files, so that the next start, after a crash, resumes them and
/// finds its registrations in place. One file per ensemble and instance, readable by the owner only:
/// the session's password gives power over its nodes.
@LoopActor public final class SessionStore {
  private let path: @LoopActor (_ name: String) -> String?
  private let instanceID: String
  private let inherited: [String: String]
  private let logger: Logger
  private var isBroken = false

  /// - Parameters:
  ///   - path: of a file of that name; nil when nothing can be kept.
  ///   - inherited: `SavedSession.text` by ensemble, from the program that this one replaced.
  public init(
    instanceID: String, inherited: [String: String], logger: Logger,
    path: @escaping @LoopActor (_ name: String) -> String?
  ) {
    self.instanceID = instanceID
    self.inherited = inherited
    self.logger = logger
    self.path = path
  }

  /// The session that the program before this one, or the last run, left for `ensemble`.
  func load(_ ensemble: String) -> SavedSession? {
    if let session = inherited[ensemble].flatMap(SavedSession.init(text:)) { return session }
    guard let path = file(of: ensemble), let bytes = try? Files.read(path, limit: 64 << 10) else { return nil }
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
    // The name holds a hash of the ensemble; the first line makes sure.
    guard lines.count >= 2, lines[0] == ensemble else { return nil }
    return SavedSession(text: String(lines[1]))
  }

  /// Replaces the file. A failure costs the resume after a crash, nothing else.
  func save(_ session: SavedSession, of ensemble: String) {
    guard let path = file(of: ensemble) else { return }
    do {
      try Files.write(Array("\(ensemble)\n\(session.text)\n".utf8), to: path, mode: 0o600, sync: false)
      isBroken = false
    } catch {
      if !isBroken {
        logger.warning("session not saved; a crash would not resume it", with: [.ensemble: ensemble, .reason: error])
      }
      isBroken = true
    }
  }

  /// Removes the file: the session has ended and cannot be resumed.
  func forget(_ ensemble: String) {
    if let path = file(of: ensemble) { _ = try? Files.remove(path) }
  }

  private func file(of ensemble: String) -> String? {
    path("session-\(instanceID)-\(StableHash(ensemble).hexadecimal)")
  }
}
