internal import CEvent
internal import Glibc

/// Tells what changes in a directory, or that one file changed, as it happens (inotify).
///
/// Survives the path being renamed away, removed, replaced and made again: it watches the parent directory
/// for the name, too, and when even that goes it looks for the path once a second. A symbolic link is
/// followed; a change of what lies behind a second link is not noticed.
@LoopActor public final class FileWatch {
  private let path: String
  private let parent: String
  private let name: String
  private var onChange: (@LoopActor ([String]?) -> Void)?
  private let descriptor: Int32
  private var event: EventSource?
  private var retryTimer: LoopTimer?
  private var isCancelled = false
  /// inotify's number for the path itself; its negative number stands for "not there".
  private var target: Int32 = -1
  private var isTargetDirectory = false
  private var parentWatch: Int32 = -1
  /// Whether the path is there and cannot be watched, as when the user's watches are used up: it is looked at instead.
  private var isBlind = false
  /// What the path led to when it was last looked at.
  private var identity: (device: UInt, inode: UInt)?
  private var auditTimer: LoopTimer?

  /// How often the path is compared with what is watched: no event tells that a folder further up was renamed, or that
  /// something was mounted over it. What cannot be watched may have changed each time.
  private static let auditInterval = Duration.seconds(5)

  private static let parentMask = UInt32(
    IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF)
  private static let directoryMask = parentMask | UInt32(IN_CLOSE_WRITE | IN_ATTRIB)
  private static let fileMask = UInt32(IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)

  /// - Parameters:
  ///   - path: a directory or a file; a file may be missing as long as its directory is there.
  ///   - onChange: for a directory gets the names of entries that appeared, changed or went, each once per burst,
  ///     or nil when anything may have changed (the kernel's queue overflowed, the directory was replaced). For a
  ///     file it gets the file's own name, or nil. Temporary names of ``Files/write(_:to:mode:sync:)`` are among the names.
  /// - Throws: ``FileError`` when neither the path nor its parent directory is there.
  public init(path: String, onChange: @escaping @LoopActor ([String]?) -> Void) throws {
    self.path = path
    parent = Files.parent(of: path)
    name = Files.name(of: path)
    self.onChange = onChange
    descriptor = inotify_init1(Int32(IN_NONBLOCK) | Int32(IN_CLOEXEC))
    guard descriptor >= 0 else { throw FileWatch.refusal(of: path, code: errno) }
    if let problem = arm() {
      Glibc.close(descriptor)
      isCancelled = true
      throw problem
    }
    event = EventSource(reading: descriptor) { [weak self] in self?.readEvents() }
    auditLater()
  }

  private func auditLater() {
    auditTimer = LoopClock.system.schedule(after: FileWatch.auditInterval) { [weak self] in
      self?.audit()
      self?.auditLater()
    }
  }

  /// Compares the path with what is watched, and looks at it afresh where they differ.
  public func audit() {
    guard !isCancelled, isBlind || FileWatch.identity(of: path) ?? (0, 0) != identity ?? (0, 0) else { return }
    rearm()
    onChange?(nil)
  }

  private static func identity(of path: String) -> (device: UInt, inode: UInt)? {
    Files.status(of: path).map { (UInt($0.st_dev), UInt($0.st_ino)) }
  }

  isolated deinit { cancel() }

  /// The system's text for EMFILE names only one of the two limits that it may stand for.
  private static func refusal(of path: String, code: Int32) -> FileError {
    guard code == EMFILE else { return FileError("watch", path: path, code: code) }
    return FileError(
      "watch", path: path, code: code,
      reason: "too many watches of this user's programs (sysctl fs.inotify.max_user_instances), or too many open files")
  }

  /// Stops; no further event is delivered.
  public func cancel() {
    guard !isCancelled else { return }
    isCancelled = true
    event?.cancel()
    event = nil
    retryTimer?.cancel()
    auditTimer?.cancel()
    onChange = nil
    Glibc.close(descriptor)
  }

  /// Watches what there is to watch; the problem when that is nothing at all.
  private func arm() -> FileError? {
    parentWatch = inotify_add_watch(descriptor, parent, FileWatch.parentMask | UInt32(IN_ONLYDIR))
    let problem = FileError("watch", path: path, code: errno)
    if Files.exists(path) { isTargetDirectory = Files.isDirectory(path) }
    let mask = isTargetDirectory ? FileWatch.directoryMask : FileWatch.fileMask
    target = inotify_add_watch(descriptor, path, mask)
    isBlind = target < 0 && errno != ENOENT && errno != ENOTDIR
    identity = FileWatch.identity(of: path)
    return target < 0 && parentWatch < 0 ? problem : nil
  }

  private func readEvents() {
    var seen = Changes()
    readInotifyEvents(from: descriptor) { event, name in note(event, named: name, in: &seen) }
    if seen.mustRearm {
      // What happened between the old watch and the new one is not known.
      if isTargetDirectory { seen.isEverything = true } else { seen.add(name) }
      rearm()
      if isTargetDirectory { seen.isEverything = true }
    }
    if seen.isEverything { onChange?(nil) } else if !seen.names.isEmpty { onChange?(seen.names) }
  }

  private struct Changes {
    private(set) var names: [String] = []
    private var known: Set<String> = []
    var isEverything = false
    var mustRearm = false

    mutating func add(_ name: String) {
      if known.insert(name).inserted { names.append(name) }
    }
  }

  private func note(_ event: inotify_event, named name: String, in seen: inout Changes) {
    let isGone = event.mask & UInt32(IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT) != 0
    if event.mask & UInt32(IN_Q_OVERFLOW) != 0 {
      seen.isEverything = true
    } else if event.wd == target {
      if isGone { seen.mustRearm = true } else { seen.add(isTargetDirectory && !name.isEmpty ? name : self.name) }
    } else if event.wd == parentWatch, isGone || name == self.name {
      seen.mustRearm = true
    }
  }

  /// Looks at the path afresh: what was watched may be another file's by now.
  private func rearm() {
    for watch in [target, parentWatch] where watch >= 0 { inotify_rm_watch(descriptor, watch) }
    retryTimer?.cancel()
    retryTimer = nil
    _ = arm()
    guard parentWatch < 0 else { return }
    retryTimer = LoopClock.system.schedule(after: .seconds(1)) { [weak self] in
      guard let self, !self.isCancelled else { return }
      let wasMissing = self.target < 0
      self.rearm()
      if wasMissing, self.target >= 0 { self.onChange?(nil) }
    }
  }
}
