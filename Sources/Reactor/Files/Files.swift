internal import CEvent
internal import Glibc

/// Small file operations that agents need; all of them block, as local files do.
public enum Files {
  /// The whole file.
  /// - Parameter limit: more bytes are an error, so that no file exhausts memory.
  public static func read(_ path: String, limit: Int) throws(FileError) -> [UInt8] {
    try readWithStamp(path, limit: limit).bytes
  }

  /// Reads the whole file, and says which state of it was read; nil for what is not a regular file.
  public static func readWithStamp(
    _ path: String, limit: Int
  ) throws(FileError) -> (bytes: [UInt8], stamp: FileStamp?) {
    // Not blocking, so that a pipe put in a file's place cannot hold the agent up.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw FileError("open", path: path, code: errno) }
    defer { close(descriptor) }
    // Taken before the bytes: what changes meanwhile has another stamp from then on.
    let stamp = FileStamp(descriptor: descriptor)
    var bytes: [UInt8] = []
    while true {
      // One byte more than the file has, so that one call reads it and finds its end.
      let wanted = bytes.isEmpty ? stamp.map { max(512, min($0.size, limit) + 1) } ?? 64 << 10 : 64 << 10
      let room = min(wanted, limit - bytes.count + 1)
      var code: Int32 = 0
      let piece = [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
        let result = Glibc.read(descriptor, buffer.baseAddress, room)
        code = result < 0 ? errno : 0
        count = max(0, result)
      }
      if code == EINTR { continue }
      guard code == 0 else { throw FileError("read", path: path, code: code) }
      if bytes.isEmpty { bytes = piece } else { bytes += piece }
      guard bytes.count <= limit else {
        throw FileError("read", path: path, reason: "it is longer than \(limit) bytes")
      }
      if piece.isEmpty || stamp != nil && piece.count < room { return (bytes, stamp) }
    }
  }

  /// Whether a file has exactly these bytes; takes no memory in proportion.
  public static func holds(_ path: String, exactly bytes: [UInt8]) throws(FileError) -> Bool {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw FileError("open", path: path, code: errno) }
    defer { close(descriptor) }
    if let stamp = FileStamp(descriptor: descriptor), stamp.size != bytes.count { return false }
    var offset = 0
    var code: Int32 = 0
    let isSame = withUnsafeTemporaryAllocation(byteCount: 256 << 10, alignment: 1) { buffer in
      bytes.withUnsafeBytes { bytes in
        while true {
          let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
          if count < 0, errno == EINTR { continue }
          if count < 0 { code = errno }
          if count <= 0 { return offset == bytes.count }
          guard offset + count <= bytes.count, let place = buffer.baseAddress, let other = bytes.baseAddress,
            memcmp(place, other + offset, count) == 0
          else { return false }
          offset += count
        }
      }
    }
    if code != 0 { throw FileError("read", path: path, code: code) }
    return isSame
  }

  /// The names in a directory, sorted, without `.` and `..`.
  public static func list(_ directory: String) throws(FileError) -> [String] {
    guard let stream = opendir(directory) else { throw FileError("list", path: directory, code: errno) }
    defer { closedir(stream) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = readdir(stream) else {
        guard errno == 0 else { throw FileError("list", path: directory, code: errno) }
        return names.sorted()
      }
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
        String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != ".", name != ".." { names.append(name) }
    }
  }

  /// Whether a path leads to anything, symbolic links followed.
  public static func exists(_ path: String) -> Bool { status(of: path) != nil }

  /// Whether a path leads to a regular file, symbolic links followed.
  public static func isFile(_ path: String) -> Bool { status(of: path).map { $0.st_mode & S_IFMT } == S_IFREG }

  /// Whether a path leads to a directory, symbolic links followed.
  public static func isDirectory(_ path: String) -> Bool { status(of: path).map { $0.st_mode & S_IFMT } == S_IFDIR }

  static func status(of path: String) -> stat? {
    var status = stat()
    return stat(path, &status) == 0 ? status : nil
  }

  /// When the file's content last changed, in seconds since 1970; nil when there is no such file.
  public static func modificationTime(_ path: String) -> Double? {
    status(of: path).map { Double($0.st_mtim.tv_sec) + Double($0.st_mtim.tv_nsec) / 1e9 }
  }

  /// Removes a file (not a directory).
  /// - Returns: false when there was none.
  @discardableResult
  public static func remove(_ path: String) throws(FileError) -> Bool {
    if unlink(path) == 0 { return true }
    if errno == ENOENT { return false }
    throw FileError("remove", path: path, code: errno)
  }

  /// Removes a file if `isOver` says so of its bytes, also of those that another program gives it meanwhile: it is taken
  /// aside first, under a name that nobody else uses, and read there. What is to stay gets its path back, unless there is
  /// a newer file by then.
  /// - Parameter limit: a longer file stays.
  public static func remove(_ path: String, limit: Int, if isOver: ([UInt8]) -> Bool) throws(FileError) {
    let aside = temporaryName(in: parent(of: path), for: name(of: path))
    guard Glibc.rename(path, aside) == 0 else {
      if errno == ENOENT { return }
      throw FileError("remove", path: path, code: errno)
    }
    let stays = (try? read(aside, limit: limit)).map(isOver) != true
    // Not every file system has links.
    if stays, link(aside, path) != 0, errno != EEXIST { return try rename(aside, to: path) }
    unlink(aside)
  }

  /// Gives a file another path, in place of what is there.
  public static func rename(_ path: String, to destination: String) throws(FileError) {
    guard Glibc.rename(path, destination) == 0 else { throw FileError("rename", path: destination, code: errno) }
  }

  /// Makes a directory and those above it; one that is there stays as it is.
  /// - Parameter mode: for the directories made, less the process's umask.
  public static func makeDirectory(_ path: String, mode: UInt32) throws(FileError) {
    if mkdir(path, mode) == 0 { return }
    let code = errno
    if code == EEXIST, isDirectory(path) { return }
    let parent = parent(of: path)
    guard code == ENOENT, parent != path else { throw FileError("make directory", path: path, code: code) }
    try makeDirectory(parent, mode: mode)
    guard mkdir(path, mode) == 0 || errno == EEXIST else { throw FileError("make directory", path: path, code: errno) }
  }

  /// Sets a file's times to now, making it, empty, when it is not there.
  /// - Parameter mode: for a new file, less the process's umask.
  public static func touch(_ path: String, mode: UInt32) throws(FileError) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, mode)
    guard descriptor >= 0 else { throw FileError("open", path: path, code: errno) }
    defer { close(descriptor) }
    guard futimens(descriptor, nil) == 0 else { throw FileError("touch", path: path, code: errno) }
  }

  /// `/a/b` → `/a`, `/a` → `/`, `a` → `.`; trailing slashes do not count.
  public static func parent(of path: String) -> String {
    var rest = path[...]
    while rest.count > 1, rest.last == "/" { rest.removeLast() }
    guard let slash = rest.lastIndex(of: "/") else { return "." }
    return slash == rest.startIndex ? "/" : String(rest[..<slash])
  }

  /// Returns a path's last part: `b` of `/a/b/`.
  public static func name(of path: String) -> String {
    var rest = path[...]
    while rest.count > 1, rest.last == "/" { rest.removeLast() }
    return String(rest[(rest.lastIndex(of: "/").map { rest.index(after: $0) } ?? rest.startIndex)...])
  }
}

extension Files {
  /// Replaces or makes the file at `path`, which readers see either as it was or as it will be, never in between.
  ///
  /// The bytes go to `.NAME.random~` in the same directory, which is then renamed. A symbolic link at `path`
  /// is replaced, not followed.
  /// - Parameters:
  ///   - mode: exactly this, whatever the umask.
  ///   - sync: also survive a power failure. Blocks for as long as the disk takes: up to seconds.
  public static func write(_ bytes: [UInt8], to path: String, mode: UInt32, sync: Bool) throws(FileError) {
    try write(parts: [bytes], to: path, mode: mode, sync: sync)
  }

  /// Likewise, with bytes that are made while they are written: a long file is never whole in memory.
  public static func write(
    parts: some Sequence<[UInt8]>, to path: String, mode: UInt32, sync: Bool
  ) throws(FileError) {
    let directory = parent(of: path)
    let (temporary, descriptor) = try makeTemporary(in: directory, for: name(of: path))
    do throws(FileError) {
      try fill(descriptor, path: temporary, parts: parts, mode: mode, sync: sync)
      guard Glibc.rename(temporary, path) == 0 else { throw FileError("rename", path: path, code: errno) }
    } catch {
      unlink(temporary)
      throw error
    }
    if sync { try syncDirectory(directory) }
  }

  /// Adds to a file that is there.
  public static func append(_ bytes: [UInt8], to path: String) throws(FileError) {
    let descriptor = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW)
    guard descriptor >= 0 else { throw FileError("open", path: path, code: errno) }
    try fill(descriptor, path: path, parts: [bytes], mode: 0o600, sync: false)
  }

  private static func temporaryName(in directory: String, for name: String) -> String {
    "\(directory)/.\(name.prefix(60)).\(String(UInt32.random(in: .min ... .max), radix: 16))~"
  }

  static func makeTemporary(in directory: String, for name: String) throws(FileError) -> (String, Int32) {
    while true {
      let path = temporaryName(in: directory, for: name)
      let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
      if descriptor >= 0 { return (path, descriptor) }
      guard errno == EEXIST else { throw FileError("make a file in", path: directory, code: errno) }
    }
  }

  static func fill(
    _ descriptor: Int32, path: String, parts: some Sequence<[UInt8]>, mode: UInt32, sync: Bool
  ) throws(FileError) {
    defer { close(descriptor) }
    for part in parts {
      let code = put(part, into: descriptor)
      guard code == 0 else { throw FileError("write", path: path, code: code) }
    }
    guard fchmod(descriptor, mode) == 0 else { throw FileError("set the mode of", path: path, code: errno) }
    if sync, fsync(descriptor) != 0 { throw FileError("sync", path: path, code: errno) }
  }

  private static func syncDirectory(_ path: String) throws(FileError) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_DIRECTORY)
    guard descriptor >= 0 else { throw FileError("open", path: path, code: errno) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw FileError("sync", path: path, code: errno) }
  }
}
