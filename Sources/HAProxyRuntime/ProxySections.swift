/// The frontends and backends of the running process, from `show stat`.
public struct ProxySections: Hashable, Sendable {
  /// What is worth knowing about one backend.
  public struct Backend: Hashable, Sendable {
    /// `http`, `tcp` or another mode.
    public var mode: String
    /// `roundrobin`, `leastconn`, …; empty if HAProxy does not say.
    public var algorithm: String
    /// The cookie's name, if the backend sets one.
    public var cookie: String?

    /// As HAProxy would give them.
    public init(mode: String, algorithm: String, cookie: String? = nil) {
      self.mode = mode
      self.algorithm = algorithm
      self.cookie = cookie
    }
  }

  /// Names of the frontends (and of `listen` sections).
  public var frontends: Set<String> = []
  /// By name, those of `listen` sections too.
  public var backends: [String: Backend] = [:]

  /// Nothing runs.
  public init() {}

  /// Reads the answer to `show stat` or its shorter forms.
  public init(parsing reply: String) throws(HAProxyRuntimeError) {
    var sections = ProxySections()
    let missing = ReplyTable.walk(reply, .csv, required: ["pxname", "svname"]) { row in
      guard let proxy = row.text("pxname"), let kind = row.text("svname") else { return }
      switch kind {
      case "FRONTEND": sections.frontends.insert(proxy)
      case "BACKEND":
        let cookie = row.text("cookie").flatMap { $0.isEmpty ? nil : $0 }
        sections.backends[proxy] = Backend(
          mode: row.text("mode") ?? "", algorithm: row.text("algo") ?? "", cookie: cookie)
      default: break
      }
    }
    if !missing.isEmpty {
      throw .malformed(command: "show stat", reason: "no column \(missing.joined(separator: ", "))")
    }
    self = sections
  }
}
