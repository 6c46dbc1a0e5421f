internal import Glibc
public import Reactor

/// The folder of the operators' downtimes, as files: what the tools and the service have in common.
///
/// Every call blocks for as long as the disk takes.
public struct SpoolDirectory: Sendable {
  /// The path of the folder.
  let root: String

  /// A folder, whether or not it exists.
  public init(root: String) { self.root = root }

  /// Makes the folder (mode 0750) when it is missing, but not its parents, and looks whether it may be used.
  public func prepare(forWriting: Bool) throws(FileError) {
    if mkdir(root, 0o750) != 0, errno != EEXIST { throw FileError("create", path: root, code: errno) }
    let wanted = forWriting ? R_OK | W_OK | X_OK : R_OK | X_OK
    if access(root, wanted) != 0 { throw FileError(forWriting ? "write to" : "read", path: root, code: errno) }
  }

  /// The names of all downtimes, in order.
  public func names() throws(FileError) -> [String] {
    try Files.list(root).filter(SpoolDirectory.isName)
  }

  /// Reads one downtime; nil if there is none. A directory of that name is none.
  public func read(_ name: String) throws(FileError) -> Downtime? {
    let scope = SpoolScope(fileName: name)
    do {
      return Downtime(of: scope, contents: try Files.read(path(name), limit: Downtime.longestFile))
    } catch {
      switch error.code {
      case ENOENT, ENOTDIR, EISDIR: return nil
      // Not the system's doing: the file is too long.
      case 0: return Downtime(unread: name, because: error)
      default:
        // Without a descriptor to spare, open says nothing of the file.
        if access(path(name), F_OK) != 0, errno == ENOENT { return nil }
        throw error
      }
    }
  }

  /// Sets a downtime, in one step. An active one with the same reason keeps its creation unless one is given.
  /// - Parameter setter: who sets it; nil: unknown.
  public func down(
    _ name: String, reason: String, expiration: Double?, creation: Double?, setter: String? = nil, now: Double
  ) throws(FileError) {
    let active = (try? read(name)).flatMap { $0.hasExpired(at: now) ? nil : $0 }
    let since = creation ?? (active?.reason == reason ? active?.creation : nil) ?? now
    let downtime = Downtime(
      scope: SpoolScope(fileName: name), reason: reason, creation: since, expiration: expiration,
      setter: setter)
    try Files.write(downtime.fileContents, to: path(name), mode: 0o644, sync: false)
  }

  /// Lifts a downtime; harmless if there is none.
  public func up(_ name: String) throws(FileError) {
    if unlink(path(name)) != 0, errno != ENOENT { throw FileError("remove", path: path(name), code: errno) }
  }

  /// Lifts a downtime if its time is up, and only then: meanwhile somebody may have prolonged it.
  public func removeExpired(_ name: String, now: Double) throws(FileError) {
    guard try read(name)?.hasExpired(at: now) == true else { return }
    let scope = SpoolScope(fileName: name)
    try Files.remove(path(name), limit: Downtime.longestFile) {
      Downtime(of: scope, contents: $0).hasExpired(at: now)
    }
  }

  /// Waits until the last change of `name` is on the disk.
  public func sync(_ name: String) throws(FileError) {
    // A downtime that was lifted has no file to wait for; the folder's entry is what counts then.
    for path in [path(name), root] {
      let descriptor = open(path, O_RDONLY | O_CLOEXEC)
      if descriptor < 0, errno == ENOENT { continue }
      guard descriptor >= 0 else { throw FileError("open", path: path, code: errno) }
      defer { close(descriptor) }
      // EINVAL: a file system that has nothing to wait for.
      if fsync(descriptor) != 0, errno != EINVAL { throw FileError("sync", path: path, code: errno) }
    }
  }

  /// Whether `name` can be a downtime: no path out of the folder, and nothing that ends in `~`, as files under
  /// construction (``Files/write(_:to:mode:sync:)``) and editors' copies do; no service can be called so over HTTP.
  public static func isName(_ name: String) -> Bool {
    !name.isEmpty && name != "." && name != ".." && name.utf8.count <= 255 && !name.hasSuffix("~")
      && !name.utf8.contains { $0 == UInt8(ascii: "/") || $0 == 0 }
  }

  /// Removes what a crash has left of downtimes under construction.
  func removeUnfinished(olderThan moment: Double) {
    for name in (try? Files.list(root)) ?? [] where name.hasPrefix(".") && name.hasSuffix("~") {
      guard let last = name.dropLast().split(separator: ".").last, UInt32(last, radix: 16) != nil,
        let written = Files.modificationTime(path(name)), written < moment
      else { continue }
      unlink(path(name))
    }
  }

  private func path(_ name: String) -> String { "\(root)/\(name)" }
}
