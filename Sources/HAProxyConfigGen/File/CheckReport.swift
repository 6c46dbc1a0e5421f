/// What `haproxy -c` said of a file.
///
/// HAProxy names a line (`[haproxy.cfg:16] : …`), or for what it finds only when all is read a proxy
/// (`Proxy 'web': unable to find required use_backend: 'x'.`) and perhaps a server (`backend 'b', server 's': …`).
public struct CheckReport: Hashable, Sendable {
  /// One complaint that keeps HAProxy from starting.
  public struct Alert: Hashable, Sendable {
    /// The line it is about; nil if HAProxy names none.
    public var line: Int?
    /// The proxy it is about, if HAProxy names one instead of a line.
    public var proxy: String?
    /// The server of that proxy.
    public var server: String?
    /// The complaint in HAProxy's words.
    public var message: String

    /// Whether the alert is about a service's line that names a backend which is not there.
    func isAboutMissingBackend(of line: ConfigLine) -> Bool {
      let words = line.text.words
      guard case .service(_, _, .some) = line.origin, words.count >= 2,
        words[0] == "use_backend" || words[0] == "default_backend"
      else { return false }
      return message.part(after: "required \(words[0]): '", before: "'") == words[1]
    }
  }

  /// The complaints, in HAProxy's order.
  public var alerts: [Alert] = []

  /// Reads the output of `haproxy -c -f path`.
  public init(output: String, path: String) {
    for line in output.split(whereSeparator: \.isNewline) where line.hasPrefix("[ALERT]") {
      let message = String(line).part(after: " : config : ", before: nil) ?? String(line)
      if let (number, words) = CheckReport.position(message, path: path) {
        alerts.append(Alert(line: number, message: words))
      } else if let proxy = CheckReport.proxy(message) {
        alerts.append(Alert(proxy: proxy, server: message.part(after: "server '", before: "'"), message: message))
      }
    }
  }

  /// The number in `[path:number]`, and what follows. A check command may name the file by another path.
  private static func position(_ message: String, path: String) -> (line: Int, words: String)? {
    let file = path.split(separator: "/").last.map(String.init) ?? path
    guard let number = message.part(after: "\(file):", before: "]").flatMap({ Int($0) }),
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
    guard let from = firstRange(of: start, from: startIndex)?.upper else { return nil }
    guard let end else { return String(self[from...]) }
    guard let to = firstRange(of: end, from: from)?.lower else { return nil }
    return String(self[from..<to])
  }

  fileprivate func firstRange(of needle: String, from: Index) -> (lower: Index, upper: Index)? {
    var at = from
    while at < endIndex {
      if self[at...].hasPrefix(needle) { return (at, index(at, offsetBy: needle.count)) }
      at = index(after: at)
    }
    return nil
  }
}
