internal import SmartStack

/// hacheck's page for people: the downtimes, the services asked for, and, for those who may, the buttons to change them.
///
/// One document without scripts and without anything from elsewhere. All that strangers wrote goes through
/// `htmlEscaped`, and `bdi` keeps right-to-left text from reordering what stands around it.
struct StatusPage {
  /// One service that was asked for.
  struct Service: Equatable {
    var name: String
    /// When it was last asked for, in seconds since 1970.
    var asked: Double
    /// What was answered last: 599 for a service that could not be asked; nil while the first question is open.
    var code: Int?
    var peer: String?
    /// Whether all of it is in downtime, by one of its own or by one of everything.
    var isDown: Bool
    /// Number of downtimes of single instances of it.
    var instanceDowntimes: Int
  }

  var host: String
  var now: Double
  /// The services shown, and the number of all that fit.
  var services: (rows: [Service], total: Int)
  /// The downtimes shown, and the number of all that fit.
  var downtimes: (rows: [Downtime], total: Int)
  /// The text that names were searched for; empty for all.
  var search: String
  var mayChange: Bool
  /// The reason why a change was not made, above everything else.
  var problem: String?
  /// Random; ties the style to this document (`Content-Security-Policy`).
  var nonce: String

  /// Renders the whole document.
  func render() -> String {
    """
    <!doctype html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>hacheck on \(host.htmlEscaped)</title>
    <style nonce="\(nonce)">\(StatusPage.style)</style>
    </head>
    <body>
    <header>
    <h1>hacheck <small>on <bdi>\(host.htmlEscaped)</bdi></small></h1>
    <p class="quiet">As of \(shownDate(now)). <a href="/">Look again</a></p>
    </header>
    <main>
    \(problemText)\(downtimesSection)\(servicesSection)\(mayChange ? newDowntimeSection : "")
    </main>
    <footer class="quiet">For programs: <a href="/recent">/recent</a> <a href="/status">/status</a>
    <a href="/status/count">/status/count</a> <a href="/metrics">/metrics</a> <a href="/healthz">/healthz</a></footer>
    </body>
    </html>

    """
  }

  private var problemText: String {
    problem.map { "<p role=\"status\" class=\"notice bad\">\($0.htmlEscaped)</p>\n" } ?? ""
  }

  // MARK: Downtimes

  private var downtimesSection: String {
    let title = "<h2>Downtimes <span class=\"count\">\(downtimes.total)</span></h2>\n"
    guard !downtimes.rows.isEmpty else {
      let text = search.isEmpty ? "There is no downtime." : "No downtime fits the search."
      return "<section>\(title)<p class=\"quiet\">\(text)</p></section>\n"
    }
    let last = mayChange ? "<th></th>" : ""
    return """
      <section>\(title)<table>
      <thead><tr><th>What</th><th>Reason</th><th>Since</th><th>Until</th>\(last)</tr></thead>
      <tbody>
      \(downtimes.rows.map(row).joined())</tbody>
      </table>\(cutNote(downtimes))</section>

      """
  }

  private func row(_ downtime: Downtime) -> String {
    let name = downtime.scope.description.htmlEscaped
    let shownName =
      downtime.scope == .everything ? "<strong>all</strong> <em>every service</em>" : "<strong>\(name)</strong>"
    let by = downtime.setter.map { " <span class=\"quiet\">by <bdi>\($0.htmlEscaped)</bdi></span>" } ?? ""
    let reason =
      (downtime.reason.isEmpty
        ? "<span class=\"quiet\">none given</span>" : "<bdi>\(downtime.reason.htmlEscaped)</bdi>")
      + by
    let since = downtime.creation.map { time($0, words: "\((now - $0).lengthInWords) ago") } ?? "unknown"
    let end =
      downtime.expiration.map { time($0, words: "\(($0 - now).lengthInWords) left") }
      ?? "<span class=\"still\">restored by hand</span>"
    let button =
      mayChange
      ? """
      <td class="action"><form method="post" action="/"><input type="hidden" name="mark" value="\(name)">\
      <button name="status" value="up">Restore<span class="unseen"> \(name)</span></button></form></td>
      """ : ""
    return """
      <tr><th scope="row" data-label="What"><bdi>\(shownName)</bdi></th><td data-label="Reason">\(reason)</td>\
      <td class="short" data-label="Since">\(since)</td><td class="short" data-label="Until">\(end)</td>\(button)</tr>

      """
  }

  // MARK: Services

  private var servicesSection: String {
    let title = "<h2>Services asked for <span class=\"count\">\(services.total)</span></h2>\n"
    let find = """
      <form method="get" action="/" role="search" class="line"><label for="q">Search</label>\
      <input id="q" type="search" name="q" value="\(search.htmlEscaped)" placeholder="part of a name"><button>Search</button></form>

      """
    guard !services.rows.isEmpty else {
      let text = search.isEmpty ? "No service was asked for since the start." : "No service fits the search."
      return "<section>\(title)\(search.isEmpty ? "" : find)<p class=\"quiet\">\(text)</p></section>\n"
    }
    let last = mayChange ? "<th></th>" : ""
    return """
      <section>\(title)\(find)<table>
      <thead><tr><th>Service</th><th>Last answer</th><th>Asked</th><th>By</th>\(last)</tr></thead>
      <tbody>
      \(services.rows.map(row).joined())</tbody>
      </table>\(cutNote(services))</section>

      """
  }

  private func row(_ service: Service) -> String {
    let name = service.name.htmlEscaped
    return """
      <tr><th scope="row" data-label="Service"><bdi>\(name)</bdi></th>\
      <td data-label="Last answer">\(StatusPage.badge(service))\(StatusPage.instances(service))</td>\
      <td class="short" data-label="Asked">\(time(service.asked, words: "\((now - service.asked).lengthInWords) ago"))</td>\
      <td class="short" data-label="By"><bdi>\((service.peer ?? "").htmlEscaped)</bdi></td>\(mayChange ? drainCell(service) : "")</tr>

      """
  }

  private static func badge(_ service: Service) -> String {
    if service.isDown { return "<span class=\"badge drained\">drained</span>" }
    switch service.code {
    case nil: return "<span class=\"badge\">asking</span>"
    case .some(let code) where code <= 200:
      return "<span class=\"badge up\">up</span> <span class=\"quiet\">\(code)</span>"
    case 599: return "<span class=\"badge down\">no answer</span>"
    case .some(let code): return "<span class=\"badge down\">down</span> <span class=\"quiet\">\(code)</span>"
    }
  }

  private static func instances(_ service: Service) -> String {
    switch service.instanceDowntimes {
    case 0: ""
    case 1: " <span class=\"badge drained\">1 instance drained</span>"
    case let count: " <span class=\"badge drained\">\(count) instances drained</span>"
    }
  }

  private func drainCell(_ service: Service) -> String {
    if service.isDown { return "<td class=\"action\"></td>" }
    let name = service.name.htmlEscaped
    return """
      <td class="action"><details><summary>Drain<span class="unseen"> \(name)</span></summary>\
      <form method="post" action="/"><input type="hidden" name="mark" value="\(name)">\(StatusPage.reasonAndEnd)\
      <button name="status" value="down" class="danger">Drain \(name)</button></form></details></td>
      """
  }

  // MARK: A new downtime

  private var newDowntimeSection: String {
    """
    <section><h2>Set a downtime</h2>
    <form method="post" action="/" class="line"><label>What<input name="mark" required maxlength="255" \
    placeholder="web.main:31001" autocomplete="off" spellcheck="false"></label>\(StatusPage.reasonAndEnd)\
    <button name="status" value="down" class="danger">Set downtime</button></form>
    <p class="quiet">NAME is a whole service, NAME:PORT one instance on this machine, <code>all</code> everything.</p>
    </section>

    """
  }

  private static let reasonAndEnd = """
    <label>Reason<input name="reason" required maxlength="500" autocomplete="off"></label>\
    <label>For<select name="duration"><option value="600">10 minutes</option>\
    <option value="3600" selected>1 hour</option><option value="14400">4 hours</option>\
    <option value="86400">1 day</option><option value="">until restored by hand</option></select></label>
    """

  // MARK: Pieces

  private func time(_ unixTime: Double, words: String) -> String {
    "<time title=\"\(shownDate(unixTime))\">\(words)</time>"
  }

  private func shownDate(_ unixTime: Double) -> String { unixTime.dateInWords ?? "\(unixTime)".htmlEscaped }

  private func cutNote<Row>(_ list: (rows: [Row], total: Int)) -> String {
    list.rows.count == list.total
      ? "" : "<p class=\"quiet\">\(list.rows.count) of \(list.total) are shown; a search narrows them.</p>"
  }
}
