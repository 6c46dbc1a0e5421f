public import Logging
public import Reactor
internal import SmartStack
internal import ZooKeeper

/// Keeps what may be in each registry in files, and the ZooKeeper sessions with it, so that the next start, after a crash,
/// resumes them, finds its registrations in place, and removes what nobody wants any more. One file per registry and
/// instance, readable by the owner only: a session's password gives power over its nodes.
@LoopActor public final class SessionStore {
  private let path: @LoopActor (_ name: String) -> String?
  private let instanceID: String
  private let inherited: [String: String]
  private let logger: Logger
  private var isBroken = false
  private static let noSession = "-"
  /// Lines that are appended together.
  private var pending: [String: [String]] = [:]
  /// Number of lines that the file has got since it was written.
  private var appended: [String: Int] = [:]
  private static let longest = 20_000

  /// - Parameters:
  ///   - path: of a file of that name; nil when nothing can be kept.
  ///   - inherited: ``text(_:own:)`` by registry, from the program that this one replaced.
  public init(
    instanceID: String, inherited: [String: String], logger: Logger,
    path: @escaping @LoopActor (_ name: String) -> String?
  ) {
    self.instanceID = instanceID
    self.inherited = inherited
    self.logger = logger
    self.path = path
  }

  /// The session that the program before this one, or the last run, left for `registry`, and the lines of what it had
  /// there.
  func load(_ registry: String) -> (session: SavedSession?, own: [String]) {
    if let lines = inherited[registry]?.split(separator: "\n").map(String.init), let session = lines.first {
      return (SavedSession(text: session), Array(lines.dropFirst()))
    }
    guard let path = file(of: registry), let bytes = try? Files.read(path, limit: 64 << 20) else { return (nil, []) }
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    // The name holds a hash of the registry's; the first line makes sure.
    guard lines.count >= 2, lines[0] == registry else { return (nil, []) }
    return (SavedSession(text: lines[1]), Array(lines.dropFirst(2)))
  }

  /// The registries of which something is kept that are none of `used`.
  func registries(besides used: [String]) -> [String] {
    var names = Set(inherited.keys).subtracting(used)
    guard let start = path(fileName("")) else { return names.sorted() }
    let (folder, known) = (Files.parent(of: start), Set(used.compactMap(file)))
    for name in (try? Files.list(folder)) ?? [] {
      let path = "\(folder)/\(name)"
      guard path.hasPrefix(start), !known.contains(path), let bytes = try? Files.read(path, limit: 64 << 20) else {
        continue
      }
      let registry = String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
      if file(of: registry) == path { names.insert(registry) }
    }
    return names.sorted()
  }

  /// What a successor needs of one registry.
  static func text(_ session: SavedSession?, own: OwnNodes) -> String {
    ([session?.text ?? noSession] + own.lines).joined(separator: "\n")
  }

  /// Replaces the file. A failure costs the resume after a crash, nothing else.
  /// - Parameter own: what the session, or one before it, may have.
  func save(_ session: SavedSession?, own: OwnNodes, of ensemble: String) {
    (pending[ensemble], appended[ensemble]) = (nil, 0)
    let text = "\(ensemble)\n\(SessionStore.text(session, own: own))\n"
    change(ensemble) { (path: String) throws(FileError) in
      try Files.write(Array(text.utf8), to: path, mode: 0o600, sync: false)
    }
  }

  /// Adds a line of own nodes to the file, with all others of this moment.
  /// - Returns: whether it was added; if not, ``save(_:own:of:)`` is due: there is no file yet, or a long one.
  func append(_ line: String, of ensemble: String) -> Bool {
    guard let count = appended[ensemble], count < SessionStore.longest else { return false }
    appended[ensemble] = count + 1
    writeSoon(line, of: ensemble)
    return true
  }

  private func writeSoon(_ line: String, of ensemble: String) {
    if pending.updateValue(pending[ensemble, default: []] + [line], forKey: ensemble) != nil { return }
    Task { @LoopActor in writePending(of: ensemble) }
  }

  /// Writes what is about to be appended: who leaves comes to nothing more.
  func flush() { for ensemble in pending.keys { writePending(of: ensemble) } }

  private func writePending(of ensemble: String) {
    guard let lines = pending.removeValue(forKey: ensemble) else { return }
    change(ensemble) { (path: String) throws(FileError) in
      try Files.append(Array((lines.joined(separator: "\n") + "\n").utf8), to: path)
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

  /// Removes the file: the session has ended and cannot be resumed, and nothing is left.
  func forget(_ ensemble: String) {
    (pending[ensemble], appended[ensemble]) = (nil, nil)
    if let path = file(of: ensemble) { _ = try? Files.remove(path) }
  }

  private func file(of ensemble: String) -> String? {
    path(fileName(StableHash(ensemble).hexadecimal))
  }

  private func fileName(_ ending: String) -> String { "session-\(instanceID)-\(ending)" }
}
