internal import Reactor
public import SmartStack

/// The agents' page for people: what is wrong, a row for each instance and service with nerve's and synapse's view of it
/// side by side, downtimes, and the last events.
///
/// It is made of status reports alone. All that strangers wrote goes through `htmlEscaped`, and `bdi` keeps right-to-left
/// text from reordering what stands around it. Filter, order and forms are links and fields of the document; the script
/// only exchanges its changing part every 5 seconds and whenever a field changes.
public struct StatusPage {
  /// The parts of the page's address.
  public struct Query: Hashable, Sendable {
    /// The text that names are searched for; empty for all.
    public var search = ""
    /// The rows that are shown: a word of ``StatusPage/filters``.
    var state = "all"
    /// `state`: what is wrong first; else `name`, or `since`, the latest change first.
    var order = "state"
    /// What the form of a downtime is opened for; nil: it is closed.
    var drain: String?

    /// Reads a request target; what is no field of ours has no effect.
    public init(_ target: String) {
      let pairs = target.utf8.split(separator: UInt8(ascii: "?"), maxSplits: 1).dropFirst().first ?? [][...]
      for pair in pairs.split(separator: UInt8(ascii: "&"), maxSplits: 10) {
        let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let text = String(validating: parts[1].formDecoded, as: UTF8.self) else { continue }
        let value = String(text.prefix(255))
        switch String(decoding: parts[0], as: UTF8.self) {
        case "q": search = value
        case "state": state = StatusPage.filters.contains { $0.word == value } ? value : state
        case "sort": order = ["name", "since"].contains(value) ? value : order
        case "drain": drain = value
        default: break
        }
      }
    }

    /// The address of the page in this order.
    func link(order: String) -> String {
      let fields = [("q", search == "" ? nil : search), ("state", state == "all" ? nil : state), ("sort", order)]
      return "/?"
        + fields.compactMap { name, value in value.map { "\(name)=\($0.formEncoded)" } }.joined(separator: "&")
    }
  }

  /// What the rows can be reduced to.
  static let filters: [(word: String, label: String)] = [
    ("all", "all"), ("wrong", "not up"), ("down", "down"), ("drained", "drained"), ("pending", "not registered yet"),
    ("skipped", "skipped"), ("empty", "without a server"), ("preserved", "preserved"), ("up", "up"),
  ]

  /// Rows of the large table; a search finds the others.
  private static let mostRows = 1000
  /// Servers that are listed below their services, of one and in all.
  static let mostServers = (each: 50, all: 2000)

  let query: Query
  let reports: [JSONValue]
  let mayChange: Bool
  let problem: String?
  let now: Double

  /// - Parameters:
  ///   - reports: of nerve, synapse and hacheck, those that are there; the first is of the agent that shows the page.
  ///   - mayChange: whether the reader may set and end downtimes.
  ///   - problem: the reason why a change was not made, above everything else.
  public init(query: Query, reports: [JSONValue], mayChange: Bool = false, problem: String? = nil) {
    (self.query, self.reports, self.mayChange, self.problem) = (query, reports, mayChange, problem)
    now = reports.first?["time"]?.double ?? 0
  }

  /// HTTP headers of the page.
  public static let headers: [(String, String)] = {
    let hash = { (text: String) in "'sha256-\(Base64.text(MessageDigest.sha256.hash(text.utf8)))'" }
    let policy =
      "default-src 'none'; style-src \(hash(style)); script-src \(hash(script)); connect-src 'self'; "
      + "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    return [
      ("Content-Type", "text/html; charset=UTF-8"), ("Content-Security-Policy", policy),
      ("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "DENY"), ("Cache-Control", "no-store"),
      // Not no-referrer: browsers would then send `Origin: null` with our own forms.
      ("Referrer-Policy", "same-origin"),
    ]
  }()

  /// `page.css` and `page.js`, as they stand in the document.
  private static let style = String(decoding: PackageResources.page_css, as: UTF8.self)
  private static let script = String(decoding: PackageResources.page_js, as: UTF8.self)

  func report(of agent: String) -> JSONValue? { reports.first { $0["agent"]?.string == agent } }

  // MARK: The document

  /// An HTML document of the pages' style around `body`; both texts are HTML already.
  public static func document(title: String, body: String) -> String {
    """
    <!doctype html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>\(title)</title>
    <style>\(style)</style>
    </head>
    <body>
    \(body)
    </body>
    </html>

    """
  }

  /// Renders the whole document.
  public func render() -> String {
    let agent = reports.first?["agent"]?.string ?? ""
    let host = (HostInfo.name ?? "").htmlEscaped
    let body = """
      <a class="skip" href="#live">To the services</a>
      <header>
      <h1>\(agent) <small>on <bdi>\(host)</bdi></small></h1>
      <p class="quiet" id="fresh">As of \(StatusPage.date(now)). <a href="/">Look again</a></p>
      </header>
      \(problem.map { "<p role=\"alert\" class=\"notice bad\">\($0.htmlEscaped)</p>\n" } ?? "")<main>
      \(summary)\(filterForm)<div id="live" tabindex="-1">
      \(services)\(downtimes)\(asked)\(events)</div>
      </main>
      \(mayChange ? drainForm : "")\(footer)<script>\(StatusPage.script)</script>
      """
    return StatusPage.document(title: "\(agent) on \(host)", body: body)
  }

  private var filterForm: String {
    let options = StatusPage.filters.map { word, label in
      "<option value=\"\(word)\"\(word == query.state ? " selected" : "")>\(label)</option>"
    }
    return """
      <form method="get" action="/" role="search" id="filter"><label>Name<input type="search" name="q" \
      value="\(query.search.htmlEscaped)" placeholder="part of a name" autocomplete="off" spellcheck="false"></label>\
      <label>Show<select name="state">\(options.joined())</select></label>\
      <input type="hidden" name="sort" value="\(query.order)"><button>Search</button></form>

      """
  }

  private var summary: String {
    let agents = reports.filter { $0["agent"]?.string != "hacheck" }
    let problems = agents.flatMap(StatusSentences.problems).map { "<li><bdi>\($0.htmlEscaped)</bdi></li>" }
    let sentences = agents.map { "<p><bdi>\(StatusSentences.summary(of: $0).htmlEscaped)</bdi></p>\n" }.joined()
    let list = problems.isEmpty ? "" : "<ul class=\"notice bad\" id=\"problems\">\(problems.joined())</ul>\n"
    return "<section id=\"summary\" aria-label=\"Summary\" role=\"status\">\n\(sentences)\(list)</section>\n"
  }

  // MARK: Services

  private var services: String {
    guard report(of: "nerve") != nil || report(of: "synapse") != nil else { return "" }
    let all = StatusRow.all(nerve: report(of: "nerve"), synapse: report(of: "synapse"))
    let fitting = all.filter { row in
      (query.search.isEmpty || row.text.contains(query.search))
        && (query.state == "all" || row.states.contains(query.state))
    }
    let title = "<h2 id=\"services\">Services <span class=\"count\">\(fitting.count) of \(all.count)</span></h2>\n"
    guard !fitting.isEmpty else {
      let text = all.isEmpty ? "No service is configured." : "No service fits the filter."
      return "<section>\(title)<p class=\"quiet\">\(text)</p></section>\n"
    }
    let shown = fitting.sorted(by: query.order).prefix(StatusPage.mostRows)
    var budget = StatusPage.mostServers.all
    let rows = shown.map { self.row($0, budget: &budget) }.joined()
    let headings = [("Service", "name"), ("nerve: here", "state"), ("synapse: everywhere", ""), ("Traffic", "")]
    return """
      <section aria-labelledby="services">\(title)<table class="services">
      <thead><tr>\(headings.map(heading).joined())<th scope="col"><span class="unseen">Change</span></th></tr></thead>
      <tbody>
      \(rows)</tbody>
      </table>\(StatusPage.cutNote(shown: shown.count, of: fitting.count))</section>

      """
  }

  private func heading(_ text: String, order: String) -> String {
    guard !order.isEmpty else { return "<th scope=\"col\">\(text)</th>" }
    let isActive = order == query.order
    let other = isActive && order == "state" ? "since" : order
    let note = ["state": "what is wrong first", "name": "by name", "since": "latest change first"][other] ?? ""
    let mark = isActive || order == "state" && query.order == "since" ? " aria-sort=\"other\"" : ""
    return
      "<th scope=\"col\"\(mark)><a href=\"\(query.link(order: other).htmlEscaped)\" title=\"\(note)\">\(text)</a></th>"
  }

  private func row(_ row: StatusRow, budget: inout Int) -> String {
    """
    <tr><th scope="row" data-label="Service"><bdi>\(row.name.htmlEscaped)</bdi>\(quiet(row.address))</th>\
    <td data-label="nerve">\(local(row))</td><td data-label="synapse">\(proxied(row, budget: &budget))</td>\
    <td data-label="Traffic">\(traffic(row))</td><td class="action">\(mayChange ? action(row) : "")</td></tr>

    """
  }

  /// What nerve says of an instance here.
  private func local(_ row: StatusRow) -> String {
    if let (agent, reason) = row.skipped, agent == "nerve" { return badge("skipped", tone: "bad") + quiet(reason) }
    guard let service = row.nerve else { return "<span class=\"quiet\">not on this host</span>" }
    let state = service["condition"]?.string ?? "?"
    var html = badge(state, tone: state == "up" ? "up" : state == "down" ? "bad" : "warn")
    if let since = service["since"]?.double { html += " " + time(since, words: "for \((now - since).lengthInWords)") }
    if state == "drained" { html += "<p><bdi>\(StatusSentences.drain(of: service).htmlEscaped)</bdi></p>" }
    html += quiet(StatusSentences.checks(of: service))
    return html + quiet(service["place"]?.string ?? service["registration"]?.string ?? "")
  }

  /// What synapse says of the service.
  private func proxied(_ row: StatusRow, budget: inout Int) -> String {
    if let (agent, reason) = row.skipped, agent == "synapse" { return badge("skipped", tone: "bad") + quiet(reason) }
    guard let service = row.synapse else { return "<span class=\"quiet\">not proxied here</span>" }
    let isUp = service["ok"]?.bool == true
    let isRemembered = service["preserved"]?.bool == true || service["has_data"]?.bool == false
    var html = badge(service["state"]?.string ?? "?", tone: !isUp ? "bad" : isRemembered ? "warn" : "up")
    html += " \(StatusSentences.servers(of: service))"
    if let changed = service["changed"]?.double {
      html += " " + time(changed, words: "changed \((now - changed).lengthInWords) ago")
    }
    if let server = row.server { html += quiet("this one: \(StatusPage.server(server))") }
    let port = service["port"]?.string.map { "port \($0), " } ?? ""
    html += quiet(port + StatusSentences.source(of: service))
    let servers = service["servers"]?.array ?? []
    guard row.listsServers, !servers.isEmpty, budget > 0 else { return html }
    let listed = servers.prefix(min(budget, StatusPage.mostServers.each))
    budget -= listed.count
    let items = listed.map { server in
      "<li><bdi>\((server["name"]?.string ?? "?").htmlEscaped)</bdi> \(StatusPage.server(server).htmlEscaped)</li>"
    }
    let more = servers.count - listed.count
    return html
      + "<details data-key=\"\(row.name.htmlEscaped)\"><summary>\(servers.count.counted("server"))</summary><ul>"
      + items.joined() + (more > 0 ? "<li>\(more) more: synapse status --wide</li>" : "") + "</ul></details>"
  }

  /// A server as HAProxy sees it.
  private static func server(_ server: JSONValue) -> String {
    [
      server["status"]?.string ?? "unknown", server["check"]?.string ?? "",
      server["age"]?.double.map { "for \($0.lengthInWords)" } ?? "",
      server["from"]?.string.flatMap { $0 == "registry" ? nil : "(\($0))" } ?? "",
    ].filter { !$0.isEmpty }.joined(separator: " ")
  }

  private func traffic(_ row: StatusRow) -> String {
    guard row.listsServers, let traffic = row.synapse?["traffic"], !traffic.isNull else { return "" }
    let count = { (key: String) in traffic[key]?.int ?? 0 }
    let (errors, queued) = (count("errors") + count("responses_5xx"), count("queued"))
    var html = "\(count("sessions").counted("session"))<p class=\"quiet\">of \(count("total")) in all"
    if let rate = traffic["rate"]?.int { html += ", \(rate)/s" }
    html += "</p>"
    if errors > 0 { html += "<p>\(errors.counted("error")), \(count("responses_5xx")) of them 5xx</p>" }
    return html + (queued > 0 ? "<p>\(queued) queued</p>" : "")
  }

  private func action(_ row: StatusRow) -> String {
    guard let service = row.nerve else { return "" }
    if service["drained"]?.bool == true {
      return service["downtime"]?["scope"]?.string.map(restoreForm) ?? ""
    }
    return service["drain"]?.string.map(drainLink) ?? ""
  }

  // MARK: Pieces

  private var footer: String {
    let pages = reports.compactMap { report -> String? in
      guard let address = report["page"]?.string, let agent = report["agent"]?.string else { return nil }
      return "<a href=\"http://\(address.htmlEscaped)/\">\(agent) at \(address.htmlEscaped)</a>"
    }
    let ports = report(of: "hacheck")?["ports"]?.string.map { "hacheck, for programs, at port \($0.htmlEscaped)" }
    let own =
      reports.first?["agent"]?.string == "hacheck"
      ? ["/recent", "/status", "/status/count", "/metrics", "/healthz"] : ["/status", "/metrics"]
    let links = own.map { "<a href=\"\($0)\">\($0)</a>" }
    return
      "<footer class=\"quiet\"><p>Pages on this host: \((pages + [ports].compactMap { $0 }).joined(separator: "; "))"
      + "</p><p>For programs: \(links.joined(separator: " "))</p></footer>\n"
  }

  func badge(_ text: String, tone: String) -> String {
    "<span class=\"badge \(tone)\">\(text.htmlEscaped)</span>"
  }

  func quiet(_ text: String) -> String {
    text.isEmpty ? "" : "<p class=\"quiet\"><bdi>\(text.htmlEscaped)</bdi></p>"
  }

  func time(_ unixTime: Double, words: String) -> String {
    "<time title=\"\(StatusPage.date(unixTime))\">\(words)</time>"
  }

  static func date(_ unixTime: Double) -> String { unixTime.dateInWords ?? "\(unixTime)".htmlEscaped }

  static func cutNote(shown: Int, of total: Int) -> String {
    shown == total ? "" : "<p class=\"quiet\">\(shown) of \(total) are shown; a search narrows them.</p>\n"
  }
}
