internal import Glibc
internal import Reactor

extension TemporaryDirectory {
  /// Writes a file below the directory, making the directories between.
  public func write(_ text: String, to name: String) throws {
    let path = "\(path)/\(name)"
    try Files.makeDirectory(Files.parent(of: path), mode: 0o755)
    try Files.write(Array(text.utf8), to: path, mode: 0o644, sync: false)
  }

  /// A file's text; nil when it is not there.
  public func text(of name: String) -> String? {
    (try? Files.read("\(path)/\(name)", limit: 64 << 20)).map { String(decoding: $0, as: UTF8.self) }
  }
}

/// Writes a file in its place, as an editor or a shell does; `Files.write` would put another one there.
public func writeFile(_ path: String, _ text: String) {
  guard let file = fopen(path, "w") else { preconditionFailure("cannot write \(path)") }
  fputs(text, file)
  fclose(file)
}

/// A file of `Tests/Golden`: what the original programs were given and answered.
public func goldenFile(_ name: String) throws -> [UInt8] {
  try Files.read(Files.parent(of: Files.parent(of: #filePath)) + "/Golden/\(name)", limit: 64 << 20)
}
