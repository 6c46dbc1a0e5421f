internal import Glibc
public import Reactor

/// What a file may become through no will of its owner.
public enum Spoil: String, CaseIterable, Sendable {
  /// As a writer leaves it that is interrupted.
  case halfWritten
  /// A short text that becomes huge when its aliases are replaced.
  case aliasBomb
  case gone
  /// A directory in its place: it is there and cannot be read, whoever asks.
  case unreadable
  /// A link that leads to itself.
  case loop

  private static let bomb =
    "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + zip("bcdefgh", "abcdefg").map { name, before in
      "\(name): &\(name) [\(Array(repeating: "*\(before)", count: 9).joined(separator: ", "))]\n"
    }.joined()

  /// Does it to a file.
  public func spoil(_ path: String) throws(FileError) {
    try Files.remove(path)
    switch self {
    case .halfWritten: try Spoil.write("{\"a\": [1, ", to: path)
    case .aliasBomb: try Spoil.write(Spoil.bomb, to: path)
    case .gone: break
    case .unreadable: try Files.makeDirectory(path, mode: 0o755)
    case .loop: guard symlink(Files.name(of: path), path) == 0 else { throw FileError("link", path: path, code: errno) }
    }
  }

  /// Undoes it.
  public static func restore(_ path: String, _ bytes: [UInt8]) throws(FileError) {
    if Files.isDirectory(path) { rmdir(path) } else { try Files.remove(path) }
    try Files.write(bytes, to: path, mode: 0o644, sync: false)
  }

  private static func write(_ text: String, to path: String) throws(FileError) {
    try Files.write(Array(text.utf8), to: path, mode: 0o644, sync: false)
  }
}
