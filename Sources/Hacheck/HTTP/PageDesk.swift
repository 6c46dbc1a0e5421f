internal import Logging
internal import Reactor
internal import SmartStack

/// Answers at `/` for browsers: shows ``StatusPage`` and obeys its forms.
@LoopActor struct PageDesk {
  let engine: CheckEngine
  let gate: ChangeGate
  let clock: LoopClock
  let logger: Logger
  let requests: RequestCounters
  let hostName: String

  /// Rows of each table; a search finds the others.
  static let mostRows = 200

  /// Whether the client is a browser: for programs there is nothing at `/`, as in the original.
  static func isWanted(_ exchange: HTTPExchange) -> Bool {
    (exchange.method == "GET" || exchange.method == "POST")
      && exchange.header("Accept")?.lowercased().contains("text/html") == true
  }

  /// Answers `GET /?q=SEARCH`, or the form that was sent to `/`.
  func handle(_ exchange: HTTPExchange, query: String, seen: SeenServices) {
    guard exchange.method == "POST" else { return show(exchange, seen, search: PageDesk.search(query)) }
    if let refusal = gate.refusal(exchange) {
      return show(exchange, seen, status: refusal.status, problem: refusal.sentence)
    }
    do {
      let form = FormBody(query: "", contentType: exchange.header("Content-Type"), body: exchange.body)
      let wanted = try MarkForm(form, now: clock.unixTime)
      Task.immediate { @LoopActor in await obey(wanted, exchange, seen) }
    } catch {
      show(exchange, seen, status: 400, problem: error.sentence)
    }
  }

  private static func search(_ query: String) -> String {
    String(((try? FormBody(query: query, contentType: nil, body: []).text("q")) ?? "").prefix(255))
  }

  private func obey(_ wanted: MarkForm, _ exchange: HTTPExchange, _ seen: SeenServices) async {
    do {
      switch wanted.order {
      case .up: try await engine.spool.up(wanted.scope)
      case .down(let reason, let expiration, let creation):
        try await engine.spool.down(wanted.scope, reason: reason, expiration: expiration, creation: creation)
      }
      // A reload of what follows shows the page; it does not send the form again.
      requests.count("page", 303)
      exchange.respond(status: 303, headers: [("Location", "/")], body: [])
    } catch {
      logger.error("spool cannot be changed", [.scope: wanted.scope, .reason: "\(error)"])
      show(exchange, seen, status: 500, problem: "The spool could not be changed: \(error)")
    }
  }

  // MARK: The page

  private func show(
    _ exchange: HTTPExchange, _ seen: SeenServices, search: String = "", status: Int = 200, problem: String? = nil
  ) {
    let nonce = PageDesk.nonce()
    let page = StatusPage(
      host: hostName, now: clock.unixTime, services: services(seen, search), marks: marks(search), search: search,
      mayChange: gate.refusal(ofPeer: exchange.peer) == nil,
      notice: problem.map { StatusPage.Notice(text: $0, isError: true) }, nonce: nonce)
    requests.count("page", status)
    exchange.respond(status: status, headers: PageDesk.headers(nonce), body: Array(page.render().utf8))
  }

  private func services(_ seen: SeenServices, _ search: String) -> StatusPage.Shown<StatusPage.Service> {
    let fitting = seen.services.filter { search.isEmpty || $0.name.contains(search) }
    let first = fitting.smallest(PageDesk.mostRows) { $0.name < $1.name }
    let instances = markedInstances(of: Set(first.map(\.name)))
    let rows = first.map { record in
      StatusPage.Service(
        name: record.name, asked: record.asked, code: record.last?.code, peer: record.last?.peer,
        isMarked: engine.spool.mark(for: record.name, port: nil, host: nil) != nil,
        markedInstances: instances[record.name] ?? 0)
    }
    return StatusPage.Shown(rows: rows, total: fitting.count)
  }

  /// How many marks there are on single instances of these services.
  private func markedInstances(of services: Set<String>) -> [String: Int] {
    var counts: [String: Int] = [:]
    if services.isEmpty { return counts }
    for mark in engine.spool.allMarks.values {
      if case .instance(let service, _, _) = mark.scope, services.contains(service) {
        counts[service, default: 0] += 1
      }
    }
    return counts
  }

  private func marks(_ search: String) -> StatusPage.Shown<SpoolMark> {
    var total = 0
    // Lazy: there may be very many, and the loop waits.
    let fitting = engine.spool.allMarks.lazy.filter { mark in
      guard search.isEmpty || mark.key.contains(search) else { return false }
      total += 1
      return true
    }
    // `all` concerns everybody.
    let first = fitting.smallest(PageDesk.mostRows) {
      $0.key != $1.key && ($0.key == "all" || $1.key != "all" && $0.key < $1.key)
    }
    return StatusPage.Shown(rows: first.map(\.value), total: total)
  }

  // MARK: Headers

  private static func nonce() -> String {
    (0..<2).map { _ in String(UInt64.random(in: .min ... .max), radix: 16) }.joined()
  }

  private static func headers(_ nonce: String) -> [(String, String)] {
    let policy =
      "default-src 'none'; style-src 'nonce-\(nonce)'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    return [
      ("Content-Type", "text/html; charset=UTF-8"), ("Content-Security-Policy", policy),
      ("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "DENY"), ("Cache-Control", "no-store"),
      // Not no-referrer: browsers would then send `Origin: null` with our own forms.
      ("Referrer-Policy", "same-origin"),
    ]
  }
}

extension Sequence {
  /// The `count` first elements in the order of `isBefore`, in that order.
  ///
  /// - Complexity: O(n log count) comparisons, and mostly one for each element when few of many are wanted.
  func smallest(_ count: Int, by isBefore: (Element, Element) -> Bool) -> [Element] {
    var kept: [Element] = []
    for element in self {
      if kept.count == count {
        guard let last = kept.last, isBefore(element, last) else { continue }
        kept.removeLast()
      }
      var (low, high) = (0, kept.count)
      while low < high {
        let middle = (low + high) / 2
        if isBefore(element, kept[middle]) { high = middle } else { low = middle + 1 }
      }
      kept.insert(element, at: low)
    }
    return kept
  }
}
