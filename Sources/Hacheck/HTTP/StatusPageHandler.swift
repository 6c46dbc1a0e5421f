internal import Reactor
internal import SmartStack

/// Answers at `/` for browsers: shows ``StatusPage`` and makes the changes that its forms ask for.
@LoopActor struct StatusPageHandler {
  let engine: CheckEngine
  let access: SpoolAccessPolicy
  let clock: LoopClock

  /// Rows of each table; a search finds the others.
  static let mostRows = 200

  /// Whether the client is a browser: for programs there is nothing at `/`, as upstream.
  static func isWanted(_ exchange: HTTPExchange) -> Bool {
    (exchange.method == "GET" || exchange.method == "POST")
      && exchange.header("Accept")?.lowercased().contains("text/html") == true
  }

  /// Answers `GET /?q=SEARCH`, or the form that was sent to `/`.
  func handle(_ exchange: HTTPExchange, query: String) {
    guard exchange.method == "POST" else { return show(exchange, search: StatusPageHandler.search(query)) }
    do throws(Refusal) {
      try access.check(exchange)
      let body = FormBody(query: "", contentType: exchange.header("Content-Type"), body: exchange.body)
      let (scope, request) = try body.downtimeChange(now: clock.unixTime, from: exchange.peer)
      Task.immediate { @LoopActor in
        do {
          try await engine.spool.apply(request, to: scope)
          // A reload of what follows shows the page; it does not send the form again.
          engine.requests.count("page", status: 303)
          exchange.respond(status: 303, headers: [("Location", "/")], body: [])
        } catch {
          show(exchange, status: 500, problem: "The spool could not be changed: \(error)")
        }
      }
    } catch {
      show(exchange, status: error.status, problem: error.sentence)
    }
  }

  private static func search(_ query: String) -> String {
    String(((try? FormBody(query: query, contentType: nil, body: []).text("q")) ?? "").prefix(255))
  }

  // MARK: The page

  private func show(_ exchange: HTTPExchange, search: String = "", status: Int = 200, problem: String? = nil) {
    let nonce = StatusPageHandler.nonce()
    let page = StatusPage(
      host: HostInfo.name ?? "", now: clock.unixTime, services: services(matching: search),
      downtimes: downtimes(matching: search), search: search,
      mayChange: access.refusal(ofPeer: exchange.peer) == nil,
      problem: problem, nonce: nonce)
    engine.requests.count("page", status: status)
    exchange.respond(status: status, headers: StatusPageHandler.headers(nonce), body: Array(page.render().utf8))
  }

  private func services(matching search: String) -> (rows: [StatusPage.Service], total: Int) {
    let fitting = engine.seen.services.filter { search.isEmpty || $0.name.contains(search) }
    let first = fitting.smallest(StatusPageHandler.mostRows) { $0.name < $1.name }
    let instances = instanceDowntimes(of: Set(first.map(\.name)))
    let rows = first.map { record in
      StatusPage.Service(
        name: record.name, asked: record.asked, code: record.last?.code, peer: record.last?.peer,
        isDown: engine.spool.downtime(for: record.name, port: nil, host: nil) != nil,
        instanceDowntimes: instances[record.name] ?? 0)
    }
    return (rows, fitting.count)
  }

  /// Numbers of downtimes of single instances, by service.
  private func instanceDowntimes(of services: Set<String>) -> [String: Int] {
    var counts: [String: Int] = [:]
    if services.isEmpty { return counts }
    for downtime in engine.spool.all.values {
      if case .instance(let service, _, _) = downtime.scope, services.contains(service) {
        counts[service, default: 0] += 1
      }
    }
    return counts
  }

  private func downtimes(matching search: String) -> (rows: [Downtime], total: Int) {
    var total = 0
    // Lazy: there may be very many, and the loop waits.
    let fitting = engine.spool.all.lazy.filter { entry in
      guard search.isEmpty || entry.key.contains(search) else { return false }
      total += 1
      return true
    }
    // `all` concerns everybody.
    let first = fitting.smallest(StatusPageHandler.mostRows) {
      $0.key != $1.key && ($0.key == "all" || $1.key != "all" && $0.key < $1.key)
    }
    return (first.map(\.value), total)
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
