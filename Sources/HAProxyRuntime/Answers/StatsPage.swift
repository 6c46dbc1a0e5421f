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
    public var isUp: Bool { status.utf8.prefix(2).lazy.map { $0 & 0xDF }.elementsEqual("UP".utf8) }
    /// `up`, also without checks, `down`, `maint` or `other`.
    var state: String {
      if isUp || status == "no check" { return "up" }
      let word = status.split(separator: " ").first?.lowercased() ?? ""
      return StatsPage.noServers[word] == nil ? "other" : word
    }
    /// Address, port and name of its host, as the name tells them.
    public var place: ServerPlace? { ServerPlace(name) }
  }

  /// What has passed through a backend since HAProxy was started.
  public struct Traffic: Hashable, Sendable {
    /// Sessions that are open now.
    public var sessions = 0
    /// Requests that wait for a server.
    public var queued = 0
    /// Sessions of the last second.
    public var rate = 0
    /// Sessions since HAProxy was started.
    public var total = 0
    /// Requests without an answer: connections that failed, answers that broke off.
    public var errors = 0
    /// Answers with a status of 500 or more, HAProxy's own included.
    public var serverErrors = 0
  }

  /// All servers, in the page's order; the lines that sum up a proxy are not among them.
  public private(set) var servers: [Server] = []
  /// The traffic of each backend.
  public private(set) var traffic: [String: Traffic] = [:]
  /// The names of all proxies, also of those without servers.
  public private(set) var proxies: Set<String> = []
  /// The number of each proxy's servers that are `up`, `down`, `maint` and `other`.
  public private(set) var counts: [String: [String: Int]] = [:]

  /// Reads a page.
  /// - Returns: nil when the text is something else.
  public init?(_ bytes: [UInt8]) {
    var page: (servers: [Server], traffic: [String: Traffic], proxies: Set<String>) = ([], [:], [])
    let text = String(decoding: bytes, as: UTF8.self)
    let missing = ReplyRow.walk(text, isCSV: true, required: ["pxname", "svname", "status"]) { row in
      guard let proxy = row.text("pxname"), let name = row.text("svname"), let status = row.text("status") else {
        return
      }
      page.proxies.insert(proxy)
      if name == "BACKEND" { page.traffic[proxy] = StatsPage.traffic(row) }
      if name == "FRONTEND" || name == "BACKEND" { return }
      page.servers.append(
        Server(
          proxy: proxy, name: name, status: status, lastCheck: StatsPage.lastCheck(row),
          lastChange: row.text("lastchg").flatMap { Int($0) }))
    }
    guard missing.isEmpty else { return nil }
    (servers, traffic, proxies) = page
    for server in servers { counts[server.proxy, default: StatsPage.noServers][server.state, default: 0] += 1 }
  }

  /// What ``counts`` has of a proxy without servers.
  public static let noServers = ["up": 0, "down": 0, "maint": 0, "other": 0]

  /// The servers of one proxy.
  public func servers(of proxy: String) -> [Server] { servers.filter { $0.proxy == proxy } }

  private static func traffic(_ row: ReplyRow) -> Traffic {
    let number = { (column: String) in row.number(column) ?? 0 }
    return Traffic(
      sessions: number("scur"), queued: number("qcur"), rate: number("rate"), total: number("stot"),
      errors: number("econ") + number("eresp"), serverErrors: number("hrsp_5xx"))
  }

  private static func lastCheck(_ row: ReplyRow) -> String {
    guard let status = row.text("check_status"), !status.isEmpty else { return "" }
    let milliseconds = row.text("check_duration") ?? ""
    return "\(status)/\(row.text("check_code") ?? "")" + (milliseconds.isEmpty ? "" : " in \(milliseconds)ms")
  }
}

/// Where a server is, as its name in HAProxy tells: `NAME_HOST:PORT`, `HOST:PORT`, or `HOST:PORT_NAME` of old versions.
public struct ServerPlace: Hashable, Sendable {
  /// The address, without brackets.
  public var host: String
  /// A port number, 1...65535.
  public var port: Int
  /// The registering host's name; empty when there is none.
  public var name: String
}

extension ServerPlace {
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

  private static func address(_ text: Substring) -> (host: String, port: Int)? {
    guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
      (1...65_535).contains(port)
    else { return nil }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
    return host.isEmpty ? nil : (String(host), port)
  }
}
