internal import AgentKit
internal import Reactor
internal import SmartStack

/// Answers at `/` for browsers: shows the page and makes the changes that its forms ask for.
@LoopActor struct StatusPageHandler {
  let engine: CheckEngine
  let access: SpoolAccessPolicy
  let clock: LoopClock
  /// What hacheck listens at.
  let ports: [Int]
  /// Reports of agents that the page shows beside hacheck's, the most important one first.
  var agents: @LoopActor () async -> [JSONValue] = { [] }

  /// Rows of hacheck's tables; a search finds the others.
  static let mostRows = 200

  /// Whether the client is a browser: for programs there is nothing at `/`, as upstream.
  static func isWanted(_ exchange: HTTPExchange) -> Bool {
    (exchange.method == "GET" || exchange.method == "POST")
      && exchange.header("Accept")?.lowercased().contains("text/html") == true
  }

  /// Answers `GET /?q=SEARCH`, or the form that was sent to `/`.
  func handle(_ exchange: HTTPExchange) {
    guard exchange.method == "POST" else { return show(exchange) }
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

  // MARK: The page

  private func show(_ exchange: HTTPExchange, status: Int = 200, problem: String? = nil) {
    engine.requests.count("page", status: status)
    let query = StatusPage.Query(exchange.method == "POST" ? "/" : exchange.target)
    let mayChange = access.refusal(ofPeer: exchange.peer) == nil
    Task.immediate { @LoopActor in
      let reports = await agents() + [report(matching: query.search)]
      let page = StatusPage(query: query, reports: reports, mayChange: mayChange, problem: problem)
      exchange.respond(status: status, headers: StatusPage.headers, text: page.render())
    }
  }

  /// hacheck's part: downtimes, and services asked for.
  private func report(matching search: String) -> JSONValue {
    let (downtimes, services) = (downtimes(matching: search), services(matching: search))
    return [
      "agent": "hacheck", "time": .double(clock.unixTime),
      "ports": .string(ports.map(String.init).joined(separator: ", ")),
      "downtimes": .array(downtimes.rows.map(\.json)), "downtime_count": .int(downtimes.total),
      "asked": .array(services.rows), "asked_count": .int(services.total),
    ]
  }

  private func services(matching search: String) -> (rows: [JSONValue], total: Int) {
    let fitting = engine.seen.services.filter { search.isEmpty || $0.name.contains(search) }
    let first = fitting.smallest(StatusPageHandler.mostRows) { $0.name < $1.name }
    let instances = instanceDowntimes(of: Set(first.map(\.name)))
    let rows = first.map { record -> JSONValue in
      [
        "name": .string(record.name), "asked": .double(record.asked),
        // 599 for a service that could not be asked.
        "code": record.last.map { .int($0.code) } ?? .null, "by": record.last.map { .string($0.peer) } ?? .null,
        "drained": .bool(engine.spool.downtime(for: record.name, port: nil, host: nil) != nil),
        "drained_instances": .int(instances[record.name] ?? 0),
      ]
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
