internal import CEvent
internal import Glibc

/// Tells that one of many paths may lead to something else than before, with one inotify instance for all.
///
/// Every directory on the way to a path is watched for the next name of the way, symbolic links included: a file that
/// is replaced, a directory that is renamed and made again, a link that is pointed elsewhere are all seen. What inotify
/// cannot see is missed: changes made by other machines on a network file system, or through another name of the file.
@LoopActor public final class PathsWatch {
  private let descriptor: Int32
  private var onChange: (@LoopActor () -> Void)?
  private var event: EventSource?
  private var namesByWatch: [Int32: Names] = [:]

  private static let mask = UInt32(
    IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF
      | IN_ONLYDIR)

  /// Which names of a directory count; nil is every name.
  typealias Names = Set<String>?

  /// Watches nothing yet.
  /// - Parameter onChange: runs once per burst of changes.
  public init(onChange: @escaping @LoopActor () -> Void) throws(FileError) {
    descriptor = inotify_init1(Int32(IN_NONBLOCK) | Int32(IN_CLOEXEC))
    guard descriptor >= 0 else { throw FileError("watch", path: "files", code: errno) }
    self.onChange = onChange
    event = EventSource(reading: descriptor) { [weak self] in self?.readEvents() }
  }

  isolated deinit { cancel() }

  /// Stops; no further event is delivered.
  public func cancel() {
    guard onChange != nil else { return }
    onChange = nil
    event?.cancel()
    event = nil
    close(descriptor)
  }

  /// Watches these absolute paths from now on, and no others. A directory is watched for all its names; what is not
  /// there is waited for.
  /// - Returns: whether a directory, or a name in one, is watched that was not before: what happened there until now was
  ///   not seen.
  public func watch(_ paths: Set<String>) async throws -> Bool {
    let wanted = try await BlockingWork.run { PathResolver.directories(of: paths) }
    guard onChange != nil else { return false }
    var watches: [Int32: Names] = [:]
    for (directory, names) in wanted {
      let watch = inotify_add_watch(descriptor, directory, PathsWatch.mask)
      if watch < 0 {
        // It went just now, which its parent's watch tells; anything else is worth an error.
        if errno == ENOENT || errno == ENOTDIR || errno == EACCES { continue }
        throw FileError("watch", path: directory, code: errno)
      }
      watches[watch] = watches[watch].map { known in known.flatMap { names?.union($0) } } ?? names
    }
    let isNew = watches.contains { isWider($0.value, than: namesByWatch[$0.key]) }
    for watch in namesByWatch.keys where watches[watch] == nil { inotify_rm_watch(descriptor, watch) }
    namesByWatch = watches
    return isNew
  }

  /// Whether a directory's names hold one that did not count before.
  private func isWider(_ names: Names, than before: Names?) -> Bool {
    guard let before else { return true }
    guard let known = before else { return false }
    return names.map { !$0.isSubset(of: known) } ?? true
  }

  private func readEvents() {
    var isChange = false
    readInotifyEvents(from: descriptor) { event, name in if counts(event, named: name) { isChange = true } }
    if isChange { onChange?() }
  }

  private func counts(_ event: inotify_event, named name: String) -> Bool {
    if event.mask & UInt32(IN_Q_OVERFLOW) != 0 { return true }
    guard let names = namesByWatch[event.wd] else { return false }
    if event.mask & UInt32(IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT) != 0 {
      if event.mask & UInt32(IN_IGNORED) != 0 { namesByWatch[event.wd] = nil }
      return true
    }
    return names?.contains(name) ?? true
  }
}

/// Finds which names of which directories decide where paths lead.
struct PathResolver {
  private(set) var found: [String: PathsWatch.Names] = [:]
  /// Where paths lead, as far as they were followed; nil for nowhere.
  private var places: [String: String?] = [:]
  private var directories: Set = ["/"]

  /// The kernel's own limit for the links on a way.
  private static let mostLinks = 40

  static func directories(of paths: Set<String>) -> [String: PathsWatch.Names] {
    var resolver = PathResolver()
    for path in paths {
      guard let place = resolver.place(of: path, links: 0), resolver.directories.contains(place) else { continue }
      resolver.found[place] = .some(nil)
    }
    return resolver.found
  }

  /// Where a path leads, links followed. Paths that have their beginning in common follow it once.
  private mutating func place(of path: String, links: Int) -> String? {
    if path.isEmpty || path == "/" { return "/" }
    if let known = places[path] { return known }
    let found = follow(path, links: links)
    places[path] = .some(found)
    return found
  }

  private mutating func follow(_ path: String, links: Int) -> String? {
    let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
    let name = String(slash.map { path[path.utf8.index(after: $0)...] } ?? path[...])
    guard let directory = place(of: slash.map { String(path[..<$0]) } ?? "", links: links) else { return nil }
    if name.isEmpty || name == "." { return directory }
    if name == ".." { return Files.parent(of: directory) }
    note(name, in: directory)
    let next = directory == "/" ? "/\(name)" : "\(directory)/\(name)"
    var status = stat()
    guard lstat(next, &status) == 0 else { return nil }
    switch status.st_mode & S_IFMT {
    case S_IFDIR: directories.insert(next)
    case S_IFLNK:
      guard links < PathResolver.mostLinks, let target = Files.target(ofLink: next) else { return nil }
      return place(of: target.hasPrefix("/") ? target : "\(directory)/\(target)", links: links + 1)
    default: break
    }
    return next
  }

  private mutating func note(_ name: String, in directory: String) {
    if found[directory] == nil {
      found[directory] = [name]
    } else {
      // In place: a directory of thousands of names must not be copied for each.
      found[directory]??.insert(name)
    }
  }
}
