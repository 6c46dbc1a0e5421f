internal import Logging
internal import Reactor
internal import SmartStack

/// The routes of hacheck over HTTP.
///
/// What is answered from downtimes or cache is answered before the handler returns.
@LoopActor final class HacheckRoutes {
  private let engine: CheckEngine
  private let clock: LoopClock
  private let metrics: Metrics
  private let access: SpoolAccessPolicy
  var pages: StatusPageHandler
  private var targets: LRUTable<String, RequestTarget>
  private let start: LoopClock.Instant
  private let longPages = PageCache()

  /// Request targets whose reading is remembered; clients repeat themselves.
  private static let rememberedTargets = 4096
  /// Longer targets are read again each time, so that memory stays bounded.
  private static let longestRemembered = 512

  // Plain text, not upstream's `text/html`: nothing that a service answers is ever a page of ours.
  private static let plain = [("Content-Type", "text/plain; charset=UTF-8")]
  private static let json = [("Content-Type", "application/json; charset=UTF-8")]
  private static let prometheus = [("Content-Type", "text/plain; version=0.0.4; charset=utf-8")]

  init(engine: CheckEngine, configuration: HacheckConfiguration, clock: LoopClock, metrics: Metrics) {
    self.engine = engine
    self.clock = clock
    self.metrics = metrics
    access = SpoolAccessPolicy(configuration: configuration, own: engine.own)
    pages = StatusPageHandler(engine: engine, access: access, clock: clock, ports: configuration.ports)
    targets = LRUTable(capacity: HacheckRoutes.rememberedTargets)
    start = clock.now
  }

  // MARK: Routes

  /// Answers one request, now or later.
  func handle(_ exchange: HTTPExchange) {
    switch target(of: exchange) {
    case .check(let check):
      switch exchange.method {
      case "GET": get(check, for: exchange)
      case "POST" where check.protocol == .spool: post(check, for: exchange)
      default: refuseMethod(exchange, allowed: check.protocol == .spool ? "GET, POST" : "GET")
      }
    case .status: page(exchange, route: "status") { self.status() }
    case .statusCount: page(exchange, route: "status") { self.engine.seen.accessCounts() }
    case .metrics: page(exchange, route: "metrics", headers: HacheckRoutes.prometheus) { self.metrics.render() }
    case .recent(let query): recent(exchange, query: query)
    case .health: health(exchange)
    case .root where StatusPageHandler.isWanted(exchange): pages.handle(exchange)
    case .root, .unknown:
      answer(
        exchange, route: "unknown", status: 404,
        body:
          "nothing is here; try /http/SERVICE/PORT/PATH, /https/…, /tcp/SERVICE/PORT, /spool/SERVICE/PORT, /recent, /status"
      )
    case .refused(let sentence): answer(exchange, route: "unknown", status: 400, body: sentence)
    }
  }

  private func target(of exchange: HTTPExchange) -> RequestTarget {
    let text = exchange.target
    if let known = targets.use(text) { return known }
    let read = RequestTarget(text)
    if case .check = read, text.utf8.count <= HacheckRoutes.longestRemembered { targets.set(text, to: read) }
    return read
  }

  private func refuseMethod(_ exchange: HTTPExchange, allowed: String) {
    engine.requests.count("method", status: 405)
    exchange.respond(
      status: 405, headers: HacheckRoutes.plain + [("Allow", allowed)],
      body: exchange.method == "HEAD" ? [] : Array("\(exchange.method) is not allowed here; \(allowed) is\n".utf8))
  }

  private func answer(_ exchange: HTTPExchange, route: StaticString, status: Int, body sentence: String) {
    engine.requests.count(route, status: status)
    exchange.respond(status: status, headers: HacheckRoutes.plain, body: Array(sentence.utf8))
  }

  private func page(
    _ exchange: HTTPExchange, route: StaticString, headers: [(String, String)] = HacheckRoutes.json, body: () -> String
  ) {
    guard exchange.method == "GET" else { return refuseMethod(exchange, allowed: "GET") }
    engine.requests.count(route, status: 200)
    // A query changes nothing of these pages.
    let name = String(exchange.target[...].cut(at: "?").before)
    exchange.respond(status: 200, headers: headers, page: longPages.page(name, make: body))
  }

  // MARK: Checks

  private func get(_ check: CheckPath, for exchange: HTTPExchange) {
    let route = check.protocol.route
    if SpoolAccessPolicy.isForeignSubresource(exchange) {
      return answer(
        exchange, route: route, status: 403, body: "another site's page may not make hacheck ask services")
    }
    let headers = RequestHeaders.exchange(exchange)
    let question: CheckEngine.Question
    do {
      question = try engine.question(check, headers: headers, peer: exchange.peer)
    } catch {
      return answer(exchange, route: route, status: error.status, body: error.sentence)
    }
    if let outcome = engine.answerAtOnce(question) {
      return exchange.respond(status: outcome.status, headers: HacheckRoutes.plain, body: outcome.body)
    }
    engine.answerLater(question, headers: headers) { outcome in
      exchange.respond(status: outcome.status, headers: HacheckRoutes.plain, body: outcome.body)
    }
  }

  // MARK: Changes of the spool

  private func post(_ check: CheckPath, for exchange: HTTPExchange) {
    do throws(Refusal) {
      try access.check(exchange)
      let scope = SpoolScope(service: check.service, port: check.port == 0 ? nil : check.port)
      guard SpoolDirectory.isName(scope.description) else {
        throw Refusal("\(scope) cannot have a downtime: it would not be a file of the spool")
      }
      let query = check.query[...].cut(at: "?").after ?? ""
      let request = try SpoolRequest(
        FormBody(query: query, contentType: exchange.header("Content-Type"), body: exchange.body), from: exchange.peer)
      Task.immediate { @LoopActor in
        do {
          try await engine.spool.apply(request, to: scope)
          engine.requests.count("post", status: 200)
          exchange.respond(status: 200, headers: HacheckRoutes.plain, body: [])
        } catch {
          answer(exchange, route: "post", status: 500, body: "the spool could not be changed: \(error)")
        }
      }
    } catch {
      answer(exchange, route: "post", status: error.status, body: error.sentence)
    }
  }

  // MARK: Pages

  /// 200 as long as the spool is followed; a load balancer's HEAD is answered, too.
  private func health(_ exchange: HTTPExchange) {
    guard exchange.method == "GET" || exchange.method == "HEAD" else {
      return refuseMethod(exchange, allowed: "GET, HEAD")
    }
    if let problem = engine.spool.problem {
      answer(exchange, route: "healthz", status: 503, body: "the spool is not followed: \(problem)")
    } else {
      answer(exchange, route: "healthz", status: 200, body: "ok")
    }
  }

  private func recent(_ exchange: HTTPExchange, query: String) {
    guard exchange.method == "GET" else { return refuseMethod(exchange, allowed: "GET") }
    do {
      let form = FormBody(query: query, contentType: nil, body: [])
      let threshold = try form.time("threshold")
      let shown = threshold.map { Int(exactly: $0).map(String.init) ?? "\($0)" } ?? "600"
      let page = longPages.page("/recent?\(shown)") {
        engine.seen.recent(threshold: threshold ?? 600, now: clock.unixTime, shownThreshold: shown)
      }
      engine.requests.count("recent", status: 200)
      exchange.respond(status: 200, headers: HacheckRoutes.json, page: page)
    } catch {
      answer(exchange, route: "recent", status: error.status, body: error.sentence)
    }
  }

  private func status() -> String {
    let cache = engine.cache.statistics
    return """
      {"cache": {"expirations": \(cache.expirations), "sets": \(cache.sets), "gets": \(cache.gets), \
      "hits": \(cache.hits), "misses": \(cache.misses)}, "uptime": \((clock.now - start).seconds), \
      "outbound_request_queue_size": \(engine.slots.waitingCount)}
      """
  }
}
