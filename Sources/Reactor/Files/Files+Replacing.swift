internal import Glibc

/// Replacing a file whose owner, rights and links are somebody else's business.
extension Files {
  /// What a path leads to, its last part's symbolic links followed, whether or not there is a file.
  public static func destination(of path: String) -> String {
    var path = path
    for _ in 0..<40 {
      guard let link = target(ofLink: path) else { return path }
      path = link.hasPrefix("/") ? link : parent(of: path) + "/" + link
    }
    return path
  }

  /// Where a symbolic link points, as it says; nil for what is none.
  static func target(ofLink path: String) -> String? {
    var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = readlink(path, &buffer, buffer.count)
    return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
  }

  /// Whether two paths lead to one file or directory, symbolic links followed.
  public static func isSame(_ path: String, as other: String) -> Bool {
    guard let one = status(of: path), let two = status(of: other) else { return false }
    return one.st_dev == two.st_dev && one.st_ino == two.st_ino
  }

  /// The permissions of what a path leads to; nil when there is nothing.
  public static func mode(of path: String) -> UInt32? { status(of: path).map { $0.st_mode & 0o7777 } }

  /// Replaces a file by another one, which is gone afterwards; owner, group and permissions stay, links are followed.
  ///
  /// Readers see the file either as it was or as it will be, unless that cannot be done: where its folder may not be
  /// written, or something is mounted on the file, the bytes are written in place.
  /// - Parameter bytes: what the other file holds.
  public static func replace(_ path: String, by other: String, holding bytes: [UInt8]) throws(FileError) {
    let path = destination(of: path)
    if isSame(path, as: other) { return }
    let status = status(of: path)
    defer { unlink(other) }
    guard let status else { return try move(other, to: path, holding: bytes, mode: mode(of: other)) }
    let hasRights = give(other, the: status)
    if hasRights, Glibc.rename(other, path) == 0 { return }
    if hasRights, errno == EXDEV, (try? write(bytes, to: path, like: status)) != nil { return }
    do throws(FileError) { try overwrite(path, with: bytes) } catch {
      // A file of somebody else in a folder of ours.
      guard error.code == EACCES, Glibc.rename(other, path) == 0 else { throw error }
    }
  }

  /// For a file that is not there yet.
  private static func move(
    _ other: String, to path: String, holding bytes: [UInt8], mode: UInt32?
  ) throws(FileError) {
    if Glibc.rename(other, path) == 0 { return }
    guard errno == EXDEV else { throw FileError("rename", path: path, code: errno) }
    try write(bytes, to: path, mode: mode ?? 0o644, sync: false)
  }

  private static func give(_ path: String, the status: stat) -> Bool {
    guard let own = self.status(of: path) else { return false }
    if own.st_uid != status.st_uid || own.st_gid != status.st_gid {
      guard chown(path, status.st_uid, status.st_gid) == 0 else { return false }
    }
    return chmod(path, status.st_mode & 0o7777) == 0
  }

  private static func write(_ bytes: [UInt8], to path: String, like status: stat) throws(FileError) {
    let (temporary, descriptor) = try makeTemporary(in: parent(of: path), for: name(of: path))
    do throws(FileError) {
      try fill(descriptor, path: temporary, parts: [bytes], mode: 0o600, sync: false)
      guard give(temporary, the: status) else { throw FileError("set the owner of", path: temporary, code: errno) }
      try rename(temporary, to: path)
    } catch {
      unlink(temporary)
      throw error
    }
  }

  /// Writes a file in place; what was there is written back if that fails.
  private static func overwrite(_ path: String, with bytes: [UInt8]) throws(FileError) {
    let before = try? read(path, limit: 1 << 30)
    let descriptor = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw FileError("write", path: path, code: errno) }
    defer { close(descriptor) }
    var code = put(bytes, into: descriptor)
    if code == 0, ftruncate(descriptor, off_t(bytes.count)) != 0 { code = errno }
    if code == 0 { return }
    if let before, lseek(descriptor, 0, SEEK_SET) == 0, put(before, into: descriptor) == 0 {
      ftruncate(descriptor, off_t(before.count))
    }
    throw FileError("write", path: path, code: code)
  }

  /// - Returns: 0, or the system's error number.
  static func put(_ bytes: [UInt8], into descriptor: Int32) -> Int32 {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return errno }
      rest = rest.dropFirst(count)
    }
    return 0
  }
}
