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
  /// Lines that are appended together.
  private var pending: [String: [String]] = [:]
  /// Number of lines that the file has got since it was written.
  private var appended: [String: Int] = [:]
  private static let longest = 20_000

  /// - Parameters:
  ///   - path: of a file of that name; nil when nothing can be kept.
  ///   - inherited: `SavedSession.text` and the lines of own nodes by ensemble, from the program that this one replaced.
  public init(
    instanceID: String, inherited: [String: String], logger: Logger,
    path: @escaping @LoopActor (_ name: String) -> String?
  ) {
    self.instanceID = instanceID
    self.inherited = inherited
    self.logger = logger
    self.path = path
  }

  /// The session that the program before this one, or the last run, left for `ensemble`, and the lines of its nodes.
  func load(_ ensemble: String) -> (session: SavedSession?, own: [Substring])? {
    if let text = inherited[ensemble] {
      let lines = text.split(separator: "\n")
      if let session = lines.first.flatMap({ SavedSession(text: String($0)) }) {
        return (session, Array(lines.dropFirst()))
      }
    }
    guard let path = file(of: ensemble), let bytes = try? Files.read(path, limit: 64 << 20) else { return nil }
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
    // The name holds a hash of the ensemble; the first line makes sure.
    guard lines.count >= 2, lines[0] == ensemble else { return nil }
    return (SavedSession(text: String(lines[1])), Array(lines.dropFirst(2)))
  }

  /// Replaces the file. A failure costs the resume after a crash, nothing else.
  /// - Parameter own: the lines of the nodes that the session, or one before it, may have.
  func save(_ session: SavedSession, own: [String], of ensemble: String) {
    (pending[ensemble], appended[ensemble]) = (nil, nil)
    let text = ([ensemble, session.text] + own).joined(separator: "\n") + "\n"
    change(ensemble) { (path: String) throws(FileError) in
      try Files.write(Array(text.utf8), to: path, mode: 0o600, sync: false)
    }
  }

  /// Adds a line of own nodes to the file, with all others of this moment.
  /// - Returns: whether the file has so many that ``save(_:own:of:)`` is due.
  func append(_ line: String, of ensemble: String) -> Bool {
    appended[ensemble, default: 0] += 1
    defer { writeSoon(line, of: ensemble) }
    return appended[ensemble, default: 0] > SessionStore.longest
  }

  private func writeSoon(_ line: String, of ensemble: String) {
    if pending.updateValue(pending[ensemble, default: []] + [line], forKey: ensemble) != nil { return }
    Task { @LoopActor in
      guard let lines = pending.removeValue(forKey: ensemble) else { return }
      change(ensemble) { (path: String) throws(FileError) in
        try Files.append(Array((lines.joined(separator: "\n") + "\n").utf8), to: path)
      }
    }
  }

  private func change(_ ensemble: String, by body: (String) throws(FileError) -> Void) {
    guard let path = file(of: ensemble) else { return }
    do {
      try body(path)
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
    pending[ensemble] = nil
    if let path = file(of: ensemble) { _ = try? Files.remove(path) }
  }

  private func file(of ensemble: String) -> String? {
    path("session-\(instanceID)-\(StableHash(ensemble).hexadecimal)")
  }
}
