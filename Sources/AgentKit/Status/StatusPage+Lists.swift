internal import Reactor
internal import SmartStack

/// What stands below the services: hacheck's downtimes and questions, events, and the forms.
extension StatusPage {
  // MARK: Downtimes and questions of hacheck

  var downtimes: String {
    guard let hacheck = report(of: "hacheck"), let rows = hacheck["downtimes"]?.array else { return "" }
    let total = hacheck["downtime_count"]?.int ?? rows.count
    let title = "<h2 id=\"downtimes\">Downtimes <span class=\"count\">\(total)</span></h2>\n"
    let new = mayChange ? "<p><a class=\"button\" href=\"/?drain=\" data-drain=\"\">Set a downtime…</a></p>\n" : ""
    guard !rows.isEmpty else {
      let text = query.search.isEmpty ? "There is no downtime." : "No downtime fits the filter."
      return "<section aria-labelledby=\"downtimes\">\(title)<p class=\"quiet\">\(text)</p>\n\(new)</section>\n"
    }
    let body = rows.map { downtime -> String in
      let name = downtime["scope"]?.string ?? ""
      let reason = downtime["reason"]?.string ?? ""
      let all = name == "all" ? " <em>every service</em>" : ""
      let by = downtime["by"]?.string.map { " <span class=\"quiet\">by <bdi>\($0.htmlEscaped)</bdi></span>" } ?? ""
      let text = reason.isEmpty ? "<span class=\"quiet\">none given</span>" : "<bdi>\(reason.htmlEscaped)</bdi>"
      let since = downtime["since"]?.double.map { time($0, words: "\((now - $0).lengthInWords) ago") } ?? "unknown"
      let end = downtime["until"]?.double.map { time($0, words: "\(($0 - now).lengthInWords) left") }
      return """
        <tr><th scope="row" data-label="What"><bdi>\(name.htmlEscaped)</bdi>\(all)</th><td data-label="Reason">\(text)\(by)</td>\
        <td data-label="Since">\(since)</td><td data-label="Until">\(end ?? "restored by hand")</td>\
        <td class="action">\(mayChange ? restoreForm(name) : "")</td></tr>

        """
    }.joined()
    return section(
      "downtimes", title: title, columns: ["What", "Reason", "Since", "Until"], body: body,
      after: StatusPage.cutNote(shown: rows.count, of: total) + new)
  }

  var asked: String {
    guard let hacheck = report(of: "hacheck"), let rows = hacheck["asked"]?.array, !rows.isEmpty else {
      return report(of: "nerve") == nil && report(of: "hacheck") != nil
        ? "<section><h2>Services asked for</h2><p class=\"quiet\">No service that fits was asked for since the start.</p></section>\n"
        : ""
    }
    let total = hacheck["asked_count"]?.int ?? rows.count
    let body = rows.map { service -> String in
      let name = service["name"]?.string ?? ""
      let asked = service["asked"]?.double ?? 0
      return """
        <tr><th scope="row" data-label="Service"><bdi>\(name.htmlEscaped)</bdi></th>\
        <td data-label="Last answer">\(answer(service))</td>\
        <td data-label="Asked">\(time(asked, words: "\((now - asked).lengthInWords) ago"))</td>\
        <td data-label="By"><bdi>\((service["by"]?.string ?? "").htmlEscaped)</bdi></td>\
        <td class="action">\(mayChange && service["drained"]?.bool != true ? drainLink(name) : "")</td></tr>

        """
    }.joined()
    return section(
      "asked", title: "<h2 id=\"asked\">Services asked for at hacheck <span class=\"count\">\(total)</span></h2>\n",
      columns: ["Service", "Last answer", "Asked", "By"], body: body,
      after: StatusPage.cutNote(shown: rows.count, of: total))
  }

  private func answer(_ service: JSONValue) -> String {
    let instances = service["drained_instances"]?.int ?? 0
    let note = instances > 0 ? " " + badge("\(instances.counted("instance")) drained", tone: "warn") : ""
    if service["drained"]?.bool == true { return badge("drained", tone: "warn") + note }
    guard let code = service["code"]?.int else { return badge("asking", tone: "warn") + note }
    if code == 599 { return badge("no answer", tone: "bad") + note }
    return badge(code <= 200 ? "up" : "down", tone: code <= 200 ? "up" : "bad") + quiet("\(code)") + note
  }

  private func section(_ id: String, title: String, columns: [String], body: String, after: String = "") -> String {
    let headings = columns.map { "<th scope=\"col\">\($0)</th>" }.joined()
    return """
      <section aria-labelledby="\(id)">\(title)<table>
      <thead><tr>\(headings)<th scope="col"><span class="unseen">Change</span></th></tr></thead>
      <tbody>
      \(body)</tbody>
      </table>\(after)</section>

      """
  }

  // MARK: Events

  var events: String {
    let sorted = reports.flatMap { $0["events"]?.array ?? [] }.sorted {
      ($0["time"]?.double ?? 0) > ($1["time"]?.double ?? 0)
    }
    guard !sorted.isEmpty else { return "" }
    let items = sorted.prefix(50).map { event -> String in
      let level = event["level"]?.string ?? ""
      let at = event["time"]?.double ?? 0
      return """
        <li class="\(level.htmlEscaped)">\(time(at, words: StatusPage.date(at))) <b>\((event["agent"]?.string ?? "").htmlEscaped): \
        \((event["message"]?.string ?? "").htmlEscaped)</b> <bdi>\((event["details"]?.string ?? "").htmlEscaped)</bdi></li>

        """
    }
    return "<section aria-labelledby=\"events\"><h2 id=\"events\">Last events</h2>\n<ol class=\"events\">\n"
      + items.joined() + "</ol></section>\n"
  }

  // MARK: Forms

  func restoreForm(_ name: String) -> String {
    """
    <form method="post" action="/"><input type="hidden" name="mark" value="\(name.htmlEscaped)">\
    <button name="status" value="up">Restore<span class="unseen"> \(name.htmlEscaped)</span></button></form>
    """
  }

  func drainLink(_ name: String) -> String {
    "<a class=\"button\" href=\"/?drain=\(name.formEncoded)\" data-drain=\"\(name.htmlEscaped)\">"
      + "Drain<span class=\"unseen\"> \(name.htmlEscaped)</span></a>"
  }

  var drainForm: String {
    """
    <dialog id="drain" aria-labelledby="drain-title"\(query.drain == nil ? "" : " open")><form method="post" action="/">
    <h2 id="drain-title">Set a downtime</h2><p role="alert" class="notice bad" hidden></p>
    <label>What<input name="mark" required maxlength="255" value="\((query.drain ?? "").htmlEscaped)" \
    placeholder="web.main:31001" autocomplete="off" spellcheck="false"></label>
    <p class="quiet">NAME is a whole service, NAME:PORT one instance on this host, <code>all</code> everything.</p>
    <label>Reason<input name="reason" required maxlength="500" autocomplete="off"></label>
    <label>For<select name="duration"><option value="600">10 minutes</option>\
    <option value="3600" selected>1 hour</option><option value="14400">4 hours</option>\
    <option value="86400">1 day</option><option value="">until restored by hand</option></select></label>
    <p class="buttons"><button name="status" value="down" class="danger">Set downtime</button>\
    <a class="button" href="/" data-close>Cancel</a></p></form></dialog>

    """
  }
}
