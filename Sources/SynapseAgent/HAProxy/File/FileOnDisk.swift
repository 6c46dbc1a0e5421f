internal import HAProxyRuntime
internal import Reactor
internal import SmartStack

/// HAProxy's file as it stands on the disk, whoever has written it.
@LoopActor final class FileOnDisk {
  private let path: String
  private let clock: LoopClock
  /// Its content; nil: there is no file, or it cannot be read.
  private(set) var text: String?
  /// The state whose content that is, and whether nothing can have changed without another state.
  private var seen: (state: FileState?, isCertain: Bool)
  /// The file's parts without its servers; nil: unknown.
  private var outline: StableHash?
  /// When it last changed in more than servers, in seconds since 1970; nil: not since the start.
  private var changedAt: Double?
  /// Looks and replacements follow each other.
  private let turn = AsyncSemaphore(limit: 1)

  /// - Parameter path: empty: there is no file.
  init(path: String, clock: LoopClock) {
    self.path = path
    self.clock = clock
    (text, seen) = FileOnDisk.read(path)
  }

  /// The permissions that its replacement is to have from the start.
  var mode: UInt32 { Files.mode(of: path) ?? 0o644 }

  /// Reads the file again where it is not as it was.
  /// - Returns: what another program has done to it; nil: nothing.
  func look() async -> String? {
    if path.isEmpty { return nil }
    do { try await turn.acquire() } catch { return nil }
    defer { turn.release() }
    if seen.isCertain, FileState(path: path) == seen.state { return nil }
    let (path, before) = (path, text)
    guard let (text, seen) = try? await BlockingWork.run({ FileOnDisk.read(path) }) else { return nil }
    self.seen = seen
    if text == before { return nil }
    (self.text, outline, changedAt) = (text, nil, clock.unixTime)
    return text == nil ? "it was removed, or cannot be read" : before == nil ? "it was made" : "its text is another"
  }

  /// Replaces it.
  /// - Parameters:
  ///   - candidate: a file that holds the text.
  ///   - outline: the text's.
  func replace(by candidate: String, text: String, outline: StableHash) async throws {
    try await turn.acquire()
    defer { turn.release() }
    let path = path
    try await BlockingWork.run { try Files.replace(path, by: candidate, holding: Array(text.utf8)) }
    self.text = text
    seen = (FileState(path: path), false)
    if self.outline != outline { changedAt = clock.unixTime }
    self.outline = outline
  }

  /// Records the outline of the text that the file has already.
  func recordOutline(_ outline: StableHash) { self.outline = outline }

  /// Records that no process may have loaded it yet.
  func markUnloaded() { changedAt = clock.unixTime }

  /// Records that HAProxy was reloaded at `time` or later: whatever begins from now on loads nothing older.
  func markLoaded(at time: Double) { if let changedAt, changedAt <= time { self.changedAt = nil } }

  /// Whether a process has loaded the file as it is, apart from servers that came or went since.
  func isLoaded(by process: ProxyInfo) -> Bool {
    // It began before it read the file, and tells the second only.
    guard let changedAt else { return true }
    return changedAt < (process.startedAt.map(Double.init) ?? clock.unixTime - 5)
  }

  private nonisolated static func read(_ path: String) -> (text: String?, seen: (state: FileState?, isCertain: Bool)) {
    if path.isEmpty { return (nil, (nil, true)) }
    do throws(FileError) {
      let (bytes, stamp) = try Files.readWithStamp(path, limit: 1 << 30)
      let isCertain = stamp?.isSettled(for: FileStamp.settling) ?? false
      return (String(decoding: bytes, as: UTF8.self), (stamp.map(FileState.file), isCertain))
    } catch {
      return (nil, (FileState(path: path), true))
    }
  }
}
