internal import Glibc
public import Reactor

/// Keeps two agents of one instance apart: an exclusive lock on a file that holds the owner's pid.
///
/// The kernel releases the lock when the process ends, however it ends; the file stays.
public final class InstanceLock {
  private let descriptor: Int32

  /// Acquires the lock.
  /// - Throws: ``FileError`` when another process holds it, naming its pid, or when the file cannot be made.
  public init(path: String) throws(FileError) {
    let opened = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard opened >= 0 else { throw FileError("open", path: path, code: errno) }
    guard flock(opened, LOCK_EX | LOCK_NB) == 0 else {
      let code = errno
      let owner = InstanceLock.owner(path: path)
      close(opened)
      guard code == EWOULDBLOCK else { throw FileError("lock", path: path, code: code) }
      throw FileError(
        "lock", path: path, code: code,
        reason: "another agent of this instance runs\(owner.map { " as pid \($0)" } ?? ""); stop it first")
    }
    descriptor = opened
    let text = Array("\(getpid())\n".utf8)
    // Only for the sentence above: a pid that could not be written down is no reason not to run.
    if ftruncate(descriptor, 0) == 0 { _ = pwrite(descriptor, text, text.count, 0) }
  }

  /// Adopts the lock that the program before this one handed over, or acquires it.
  /// - Throws: as ``init(path:)``.
  public convenience init(path: String, inherited: InPlaceUpgradeState?) throws(FileError) {
    guard let descriptor = inherited?.descriptors[InstanceLock.stateKey] else {
      try self.init(path: path)
      return
    }
    if Files.isSame("/proc/self/fd/\(descriptor)", as: path) {
      self.init(adopting: descriptor)
    } else {
      // The state directory is another one now, or its files were replaced.
      close(descriptor)
      try self.init(path: path)
    }
  }

  private init(adopting descriptor: Int32) { self.descriptor = descriptor }

  private static let stateKey = "lock"

  /// Hands the lock over.
  public func handOver(to state: inout InPlaceUpgradeState) { state.descriptors[InstanceLock.stateKey] = descriptor }

  deinit { close(descriptor) }

  /// The process that wrote a lock file, if it still runs and is called `program`; nil if not, or if there is no such
  /// file. Does not touch the lock: an agent that starts at the same moment must get it.
  public static func owner(path: String, program: String) -> Int32? {
    guard let pid = owner(path: path), pid > 1, let name = try? Files.read("/proc/\(pid)/comm", limit: 64)
    else { return nil }
    return String(decoding: name, as: UTF8.self).filter { !$0.isNewline } == program ? pid : nil
  }

  private static func owner(path: String) -> Int32? {
    guard let bytes = try? Files.read(path, limit: 64) else { return nil }
    return Int32(String(decoding: bytes, as: UTF8.self).filter { !$0.isWhitespace })
  }
}
