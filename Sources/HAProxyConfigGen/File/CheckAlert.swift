internal import SmartStack

/// One complaint of `haproxy -c` that keeps HAProxy from starting with a file.
///
/// HAProxy names a line (`[haproxy.cfg:16] : …`), or for what it finds only when all is read a proxy
/// (`Proxy 'web': unable to find required use_backend: 'x'.`) and perhaps a server (`backend 'b', server 's': …`).
public struct CheckAlert: Hashable, Sendable {
  /// The line it is about; nil if HAProxy names none.
  public var line: Int?
  /// The proxy it is about, if HAProxy names one instead of a line.
  public var proxy: String?
  /// The server of that proxy.
  public var server: String?
  /// The complaint in HAProxy's words.
  public var message: String

  /// Reads the output of `haproxy -c -f path`.
  /// - Returns: the complaints, in HAProxy's order.
  public static func all(in output: String, path: String) -> [CheckAlert] {
    output.lines.filter { $0.hasPrefix("[ALERT]") }.compactMap { line in
      let message = String(line).part(after: " : config : ", before: nil) ?? String(line)
      if let (number, words) = position(message, path: path) { return CheckAlert(line: number, message: words) }
      guard let proxy = proxy(message) else { return nil }
      return CheckAlert(proxy: proxy, server: message.part(after: "server '", before: "'"), message: message)
    }
  }

  /// Whether it is about a line that names a backend or a server which is not there: it quotes the name, and has the
  /// line's first word.
  func isAboutMissingName(in line: ConfigLine) -> Bool {
    let words = line.text.words
    guard let first = words.first, message.contains(first) else { return false }
    return words.dropFirst().contains { message.contains("'\($0)'") }
  }

  /// The number in `[path:number]`, and what follows. A check command may name the file by another path.
  private static func position(_ message: String, path: String) -> (line: Int, words: String)? {
    let file = path.split(separator: "/").last.map(String.init) ?? path
    guard let number = message.part(after: "\(file):", before: "]").flatMap({ Int($0) }), number > 0,
      let words = message.part(after: "\(file):\(number)]", before: nil)
    else { return nil }
    return (number, String(words.drop { " :".contains($0) }))
  }

  private static func proxy(_ message: String) -> String? {
    for kind in ["Proxy '", "proxy '", "frontend '", "backend '", "listener '"] {
      if let name = message.part(after: kind, before: "'") { return name }
    }
    return nil
  }
}

extension String {
  /// The text after the first `start`, up to the next `end` (nil: to the string's end).
  fileprivate func part(after start: String, before end: String?) -> String? {
    guard let rest = firstRange(of: start).map({ self[$0.upperBound...] }) else { return nil }
    guard let end else { return String(rest) }
    return rest.firstRange(of: end).map { String(rest[..<$0.lowerBound]) }
  }
}
