internal import Glibc

/// The names of `/etc/hosts`, read again whenever the file has changed.
@LoopActor final class HostsFile {
  private let path: String
  private var stamp: FileStamp?
  private var addresses: [String: [String]] = [:]

  init(path: String) { self.path = path }

  /// The numeric addresses of `name`, in the file's order; nil when the file does not have the name.
  func addresses(of name: String) -> [String]? {
    let current = FileStamp(path: path)
    if current != stamp {
      stamp = current
      addresses = HostsFile.parse((try? Files.read(path, limit: 1 << 24)) ?? [])
    }
    return addresses[name.lowercased()]
  }

  private static func parse(_ bytes: [UInt8]) -> [String: [String]] {
    var result: [String: [String]] = [:]
    for line in bytes.split(separator: UInt8(ascii: "\n")) {
      let text = String(decoding: line.prefix { $0 != UInt8(ascii: "#") }, as: UTF8.self)
      let words = text.split(whereSeparator: \.isWhitespace)
      guard let address = words.first.map(String.init) else { continue }
      for name in Set(words.dropFirst().map { $0.lowercased() }) { result[name, default: []].append(address) }
    }
    return result
  }
}
