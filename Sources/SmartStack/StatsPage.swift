/// What HAProxy's stats page says in its CSV form, as far as commands ask: the servers of every proxy and how they are.
public struct StatsPage: Hashable, Sendable {
  /// One server of one proxy.
  public struct Server: Hashable, Sendable {
    /// The proxy's name, for example `web.main`.
    public var proxy: String
    /// The server's name, for example `host1_10.0.1.11:31001`.
    public var name: String
    /// HAProxy's word: `UP`, `UP 1/2`, `DOWN`, `MAINT`, `no check` …
    public var status: String
    /// The last check: `L7OK/200 in 2ms`; empty without one.
    public var lastCheck: String
    /// Seconds since the status changed.
    public var lastChange: Int?

    /// Whether it gets requests: `UP`, with or without something behind it.
    public var isUp: Bool { status.uppercased().hasPrefix("UP") }
    /// Address, port and name of its host, as the name tells them.
    public var place: ServerPlace? { ServerPlace(name) }
  }

  /// All servers, in the page's order; the lines that sum up a proxy are not among them.
  public private(set) var servers: [Server] = []
  /// The names of all proxies, also of those without servers.
  public private(set) var proxies: Set<String> = []

  /// Reads a page.
  /// - Returns: nil when the text is something else.
  public init?(_ bytes: [UInt8]) {
    var rows = CommaSeparated(bytes)
    guard let head = rows.next() else { return nil }
    let names = head.enumerated().map { ($1.hasPrefix("# ") ? String($1.dropFirst(2)) : $1, $0) }
    let columns = Dictionary(names, uniquingKeysWith: { first, _ in first })
    guard let proxy = columns["pxname"], let name = columns["svname"], let status = columns["status"] else {
      return nil
    }
    while let row = rows.next() {
      guard row.count > max(proxy, name, status) else { continue }
      proxies.insert(row[proxy])
      if row[name] == "FRONTEND" || row[name] == "BACKEND" { continue }
      let field = { (column: String) in columns[column].flatMap { $0 < row.count ? row[$0] : nil } ?? "" }
      servers.append(
        Server(
          proxy: row[proxy], name: row[name], status: row[status],
          lastCheck: StatsPage.check(field("check_status"), field("check_code"), field("check_duration")),
          lastChange: Int(field("lastchg"))))
    }
  }

  /// The servers of one proxy.
  public func servers(of proxy: String) -> [Server] { servers.filter { $0.proxy == proxy } }

  private static func check(_ status: String, _ code: String, _ milliseconds: String) -> String {
    if status.isEmpty { return "" }
    return "\(status)/\(code)" + (milliseconds.isEmpty ? "" : " in \(milliseconds)ms")
  }
}

/// Where a server is, as its name in HAProxy tells: `NAME_HOST:PORT`, `HOST:PORT`, or `HOST:PORT_NAME` of old versions.
public struct ServerPlace: Hashable, Sendable {
  /// The address, without brackets.
  public var host: String
  /// 1...65535.
  public var port: Int
  /// The registering host's name; empty when there is none.
  public var name: String

  /// Reads a server's name; nil when it holds no address and port.
  public init?(_ text: String) {
    let parts = text.split(separator: "_", omittingEmptySubsequences: false)
    if let (host, port) = ServerPlace.address(parts[parts.count - 1]) {
      self.init(host: host, port: port, name: parts.dropLast().joined(separator: "_"))
    } else if parts.count > 1, let (host, port) = ServerPlace.address(parts[0]) {
      self.init(host: host, port: port, name: parts.dropFirst().joined(separator: "_"))
    } else {
      return nil
    }
  }

  private init(host: String, port: Int, name: String) {
    self.host = host
    self.port = port
    self.name = name
  }

  private static func address(_ text: Substring) -> (host: String, port: Int)? {
    guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
      (1...65_535).contains(port)
    else { return nil }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
    return host.isEmpty ? nil : (String(host), port)
  }
}

/// The records of comma-separated values; fields in double quotes may hold commas, line ends and doubled quotes.
private struct CommaSeparated {
  private var rest: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { rest = bytes[...] }

  /// The fields of the next line that is not empty.
  mutating func next() -> [String]? {
    while let first = rest.first, first == UInt8(ascii: "\n") || first == UInt8(ascii: "\r") { rest.removeFirst() }
    if rest.isEmpty { return nil }
    var fields: [String] = []
    var field: [UInt8] = []
    var isQuoted = false
    while let byte = rest.popFirst() {
      switch byte {
      case UInt8(ascii: "\""):
        // Within quotes a doubled one stands for itself.
        if isQuoted, rest.first == byte { field.append(rest.removeFirst()) } else { isQuoted.toggle() }
      case UInt8(ascii: ",") where !isQuoted:
        fields.append(String(decoding: field, as: UTF8.self))
        field = []
      case UInt8(ascii: "\n") where !isQuoted:
        return fields + [String(decoding: field, as: UTF8.self)]
      case UInt8(ascii: "\r") where !isQuoted: break
      default: field.append(byte)
      }
    }
    return fields + [String(decoding: field, as: UTF8.self)]
  }
}
