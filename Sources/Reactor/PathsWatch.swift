internal import Glibc

/// Tells when any of many files may have changed: written, replaced, renamed, made or removed, also when a directory
/// or a symbolic link on its path was.
///
/// One inotify descriptor on the directories that the paths lead through, after symbolic links, each for the names that
/// matter in it: watching files themselves would lose those that are replaced by a rename, as most are.
@LoopActor public final class PathsWatch {
  private let descriptor: Int32
  private let onChange: @LoopActor () -> Void
  private var event: DescriptorEvent?
  private var watched: [String: Int32] = [:]
  private var wanted: [Int32: WatchedNames] = [:]

  private static let mask = UInt32(
    IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)

  /// Watches nothing yet.
  /// - Parameter onChange: runs once per burst of events.
  /// - Throws: ``FileError`` when the system gives no inotify descriptor.
  public init(onChange: @escaping @LoopActor () -> Void) throws {
    self.onChange = onChange
    descriptor = inotify_init1(Int32(IN_NONBLOCK) | Int32(IN_CLOEXEC))
    guard descriptor >= 0 else { throw FileError("watch", "files", code: errno) }
    event = DescriptorEvent(descriptor, .reading) { [weak self] in self?.readEvents() }
  }

  isolated deinit { cancel() }

  /// Stops for good.
  public func cancel() {
    guard let event else { return }
    event.cancel()
    self.event = nil
    Glibc.close(descriptor)
  }

  /// What came of ``watch(_:)``.
  public struct Coverage: Sendable {
    /// Whether a directory is watched that was not before: what happened in it until now was not seen.
    public var isWider = false
    /// Directories that cannot be watched, and why.
    public var problems: [FileError] = []
  }

  /// Watches these paths and no others. Absolute paths; each may be a file, a directory (then whatever happens right
  /// in it counts), or not there yet.
  public func watch(_ paths: some Sequence<String>) -> Coverage {
    var coverage = Coverage()
    guard event != nil else { return coverage }
    var trail = PathTrail()
    for path in paths { trail.add(path) }
    for (directory, watch) in watched where trail.names[directory] == nil {
      inotify_rm_watch(descriptor, watch)
      watched[directory] = nil
    }
    wanted = [:]
    for (directory, names) in trail.names {
      let watch = inotify_add_watch(descriptor, directory, PathsWatch.mask | UInt32(IN_ONLYDIR))
      guard watch >= 0 else {
        // Gone since: its parent's watch tells when it comes back.
        if errno != ENOENT, errno != ENOTDIR { coverage.problems.append(FileError("watch", directory, code: errno)) }
        watched[directory] = nil
        continue
      }
      if watched.updateValue(watch, forKey: directory) != watch { coverage.isWider = true }
      wanted[watch, default: WatchedNames()].formUnion(names)
    }
    return coverage
  }

  private func readEvents() {
    var isRelevant = false
    withUnsafeTemporaryAllocation(byteCount: 64 << 10, alignment: MemoryLayout<inotify_event>.alignment) { buffer in
      while true {
        let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
        guard count > 0 else { break }
        if concerns(UnsafeRawBufferPointer(rebasing: buffer[..<count])) { isRelevant = true }
      }
    }
    if isRelevant { onChange() }
  }

  private func concerns(_ bytes: UnsafeRawBufferPointer) -> Bool {
    let headSize = MemoryLayout<inotify_event>.size
    var offset = 0
    while offset + headSize <= bytes.count {
      let event = bytes.loadUnaligned(fromByteOffset: offset, as: inotify_event.self)
      let end = offset + headSize + Int(event.len)
      if event.mask & UInt32(IN_Q_OVERFLOW | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT) != 0 { return true }
      let name = String(decoding: bytes[(offset + headSize)..<end].prefix { $0 != 0 }, as: UTF8.self)
      if wanted[event.wd]?.contains(name) == true { return true }
      offset = end
    }
    return false
  }
}

/// Names that matter in a directory.
struct WatchedNames {
  private var isEverything = false
  private var names: Set<String> = []

  /// Temporary files of ours come and go beside every file that is replaced.
  func contains(_ name: String) -> Bool {
    isEverything && !(name.hasPrefix(".") && name.hasSuffix("~")) || names.contains(name)
  }

  mutating func insert(_ name: String) { names.insert(name) }
  mutating func insertEverything() { isEverything = true }
  mutating func formUnion(_ other: WatchedNames) {
    isEverything = isEverything || other.isEverything
    names.formUnion(other.names)
  }
}

/// Follows paths as the kernel does and notes every directory entry on the way that could lead them elsewhere.
struct PathTrail {
  /// As many as the kernel follows.
  private static let linkLimit = 40

  /// Real directory → names in it that matter.
  private(set) var names: [String: WatchedNames] = [:]
  private var known: [String: String?] = [:]

  mutating func add(_ path: String) {
    guard let real = resolve(path, links: 0) else { return }
    if Files.kind(real) == .directory { names[real, default: WatchedNames()].insertEverything() }
  }

  /// The path without symbolic links; nil when there is nothing.
  private mutating func resolve(_ path: String, links: Int) -> String? {
    if path == "/" || path == "." { return path }
    if let known = known[path] { return known }
    // Until it is known, a loop of links leads nowhere.
    known[path] = .some(nil)
    let real = resolveLast(path, links: links)
    known[path] = .some(real)
    return real
  }

  private mutating func resolveLast(_ path: String, links: Int) -> String? {
    guard let parent = resolve(Files.parent(of: path), links: links) else { return nil }
    let name = Files.name(of: path)
    if name == "." { return parent }
    if name == ".." { return Files.parent(of: parent) }
    names[parent, default: WatchedNames()].insert(name)
    let full = parent == "/" ? "/" + name : parent + "/" + name
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = buffer.withUnsafeMutableBytes { bytes in
      bytes.bindMemory(to: CChar.self).baseAddress.map { readlink(full, $0, bytes.count) } ?? -1
    }
    guard count > 0 else { return errno == EINVAL ? full : nil }
    guard links < PathTrail.linkLimit else { return nil }
    let target = String(decoding: buffer[..<count], as: UTF8.self)
    return resolve(target.hasPrefix("/") ? target : parent + "/" + target, links: links + 1)
  }
}
