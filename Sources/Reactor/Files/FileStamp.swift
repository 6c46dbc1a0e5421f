internal import CEvent
internal import Glibc

/// Which state of which file was read: as long as a path leads to the same stamp, it need not be read again.
///
/// A file that is written again within one tick of the clock that dates files, with as many bytes, keeps its times. So
/// a stamp is only given of a file that was left alone for a while when it was read.
public struct FileStamp: Hashable, Sendable {
  private let device: UInt
  private let inode: UInt
  let size: Int
  private let modified: Int
  private let changed: Int

  /// How long a file must have been left alone: far above the ticks of any clock that dates files.
  public static let settling = Duration.seconds(2)

  private init(_ status: stat) {
    device = UInt(status.st_dev)
    inode = UInt(status.st_ino)
    size = Int(status.st_size)
    modified = status.st_mtim.tv_sec * 1_000_000_000 + status.st_mtim.tv_nsec
    changed = status.st_ctim.tv_sec * 1_000_000_000 + status.st_ctim.tv_nsec
  }

  /// What a path leads to now, links followed; nil when there is nothing, or no regular file.
  public init?(path: String) {
    var status = stat()
    errno = 0
    guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
    self.init(status)
  }

  /// Of an open file that is about to be read.
  init?(descriptor: Int32) {
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
    self.init(status)
  }

  /// Whether the file was left alone for so long, by the clock of this host.
  public func isSettled(for time: Duration) -> Bool {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    let age = now.tv_sec * 1_000_000_000 + now.tv_nsec - changed
    return Duration.nanoseconds(age) > time
  }
}

/// What a path led to when it was looked at.
public enum FileState: Hashable, Sendable {
  /// Nothing: the file, or a directory on its path, is not there.
  case missing
  case file(FileStamp)

  /// As it is now; nil for what is neither, such as a directory or a link that leads to itself.
  public init?(path: String) {
    if let stamp = FileStamp(path: path) {
      self = .file(stamp)
    } else if FileError("open", path: path, code: errno).isMissing {
      self = .missing
    } else {
      return nil
    }
  }
}
