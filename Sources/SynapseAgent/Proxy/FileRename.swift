internal import Glibc
internal import Reactor

/// rename(2) with the errors of ``Files``.
enum FileRename {
  static func rename(_ from: String, to path: String) throws(FileError) {
    if Glibc.rename(from, path) != 0 { throw FileError("rename", path: path, code: errno) }
  }
}
