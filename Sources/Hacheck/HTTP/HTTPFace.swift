internal import Logging
internal import Reactor
internal import SmartStack

/// The routes of hacheck over HTTP.
///
/// What is answered from marks or cache is answered before the handler returns.
@LoopActor final class HTTPFace {
  private let engine: CheckEngine
  private let configuration: HacheckConfiguration
  private let clock: LoopClock
  private let logger: Logger
  private let metrics: Metrics
  private let requests: RequestCounters
  private let gate: ChangeGate
  private let pages: PageDesk
  private var seen: SeenServices
  private var targets: LRUTable<String, RequestTarget>
  private let start: LoopClock.Instant

  /// Request targets whose reading is remembered; askers repeat themselves.
  private static let rememberedTargets = 4096
  /// Longer targets are read anew each time, so that memory stays bounded.
  private static let longestRemembered = 512

  // Plain text, not the original's `text/html`: nothing that a service answers is ever a page of ours.
  private static let plain = [("Content-Type", "text/plain; charset=UTF-8")]
  private static let json = [("Content-Type", "application/json; charset=UTF-8")]
  private static let prometheus = [("Content-Type", "text/plain; version=0.0.4; charset=utf-8")]

  init(
    engine: CheckEngine, configuration: HacheckConfiguration, clock: LoopClock, logger: Logger, metrics: Metrics
  ) {
    self.engine = engine
    self.configuration = configuration
    self.clock = clock
    self.logger = logger
    self.metrics = metrics
    requests = RequestCounters(metrics)
    seen = SeenServices(
      capacity: configuration.seenServicesSize, lifetime: configuration.seenServicesTime.seconds)
    gate = ChangeGate(configuration: configuration, own: engine.own)
    pages = PageDesk(
      engine: engine, gate: gate, clock: clock, logger: logger, requests: requests, hostName: HostInfo.name ?? "")
    targets = LRUTable(capacity: HTTPFace.rememberedTargets)
    start = clock.now
  }

  /// Forgets services that nobody has asked for in a long time.
  func sweep() { seen.sweep(now: clock.unixTime) }

  /// Adds what only the face knows to `metrics`.
  func publish(_ metrics: Metrics) {
    metrics.onRender { [weak self] metrics in
      metrics.gauge("hacheck_seen_services", help: "Services in /recent and on the page.").value =
        Double(self?.seen.count ?? 0)
    }
  }

  // MARK: Routes

  /// Answers one request, now or later.
  func handle(_ exchange: HTTPExchange) {
    switch read(exchange.target) {
    case .check(let check):
      switch exchange.method {
      case "GET": get(check, exchange)
      case "POST" where check.protocol == .spool: post(check, exchange)
      default: refuseMethod(exchange, allowed: check.protocol == .spool ? "GET, POST" : "GET")
      }
    case .status: page(exchange, "status") { self.status() }
    case .statusCount: page(exchange, "status") { self.seen.accessCounts() }
    case .metrics: page(exchange, "metrics", HTTPFace.prometheus) { self.metrics.render() }
    case .recent(let query): recent(exchange, query)
    case .health: health(exchange)
    case .root(let query) where PageDesk.isWanted(exchange): pages.handle(exchange, query: query, seen: seen)
    case .root, .unknown:
      answer(
        exchange, "unknown", 404,
        "nothing is here; try /http/SERVICE/PORT/PATH, /https/…, /tcp/SERVICE/PORT, /spool/SERVICE/PORT, /recent, /status"
      )
    case .refused(let sentence): answer(exchange, "unknown", 400, sentence)
    }
  }

  private func read(_ target: String) -> RequestTarget {
    if let known = targets.use(target) { return known }
    let read = RequestTarget(target)
    if case .check = read, target.utf8.count <= HTTPFace.longestRemembered { targets.set(target, read) }
    return read
  }

  private func refuseMethod(_ exchange: HTTPExchange, allowed: String) {
    requests.count("method", 405)
    exchange.respond(
      status: 405, headers: HTTPFace.plain + [("Allow", allowed)],
      body: exchange.method == "HEAD" ? [] : Array("\(exchange.method) is not allowed here; \(allowed) is\n".utf8))
  }

  private func answer(_ exchange: HTTPExchange, _ route: StaticString, _ status: Int, _ sentence: String) {
    requests.count(route, status)
    exchange.respond(status: status, headers: HTTPFace.plain, body: Array(sentence.utf8))
  }

  private func page(
    _ exchange: HTTPExchange, _ route: StaticString, _ headers: [(String, String)] = HTTPFace.json,
    _ body: () -> String
  ) {
    guard exchange.method == "GET" else { return refuseMethod(exchange, allowed: "GET") }
    requests.count(route, 200)
    exchange.respond(status: 200, headers: headers, body: Array(body().utf8))
  }

  // MARK: Checks

  private func get(_ check: RequestTarget.Check, _ exchange: HTTPExchange) {
    if RequestOrigin.isForeignSubresource(exchange) {
      let sentence = "another site's page may not make hacheck ask services"
      return answer(exchange, check.protocol.route, 403, sentence)
    }
    let headers = RequestHeaders.exchange(exchange)
    let question: CheckEngine.Question
    do {
      question = try engine.question(check, headers)
    } catch {
      return answer(exchange, check.protocol.route, 400, error.sentence)
    }
    let peer = exchange.peer
    let record = seen.ask(check.service, peer: peer, time: clock.unixTime)
    if let outcome = engine.answerAtOnce(question) {
      return finish(exchange, check, record, peer, outcome)
    }
    engine.answerLater(question, headers) { [weak self] outcome in
      self?.finish(exchange, check, record, peer, outcome)
    }
  }

  private func finish(
    _ exchange: HTTPExchange, _ check: RequestTarget.Check, _ record: SeenServices.Record, _ peer: String,
    _ outcome: CheckOutcome
  ) {
    let status = outcome.status
    SeenServices.answer(record, code: max(200, outcome.code), peer: peer, time: clock.unixTime)
    requests.count(check.protocol.route, status)
    exchange.respond(status: status, headers: HTTPFace.plain, body: outcome.body)
  }

  /// The same without a socket.
  func check(_ request: CheckRequest) async -> CheckAnswer {
    let check = RequestTarget.Check(
      protocol: request.protocol, service: request.service, port: request.port, query: request.query)
    let headers = RequestHeaders.list(request.headers)
    let question: CheckEngine.Question
    do {
      question = try engine.question(check, headers)
    } catch {
      return CheckAnswer(status: 400, body: Array(error.sentence.utf8))
    }
    let record = seen.ask(check.service, peer: request.peer, time: clock.unixTime)
    var outcome = engine.answerAtOnce(question)
    if outcome == nil {
      let answered = OneShotEvent<CheckOutcome>()
      engine.answerLater(question, headers) { answered.happen(with: $0) }
      outcome = try? await answered.outcome().get()
    }
    let found = outcome ?? CheckOutcome.up
    SeenServices.answer(record, code: max(200, found.code), peer: request.peer, time: clock.unixTime)
    requests.count(check.protocol.route, found.status)
    return CheckAnswer(status: found.status, body: found.body, mark: engine.mark(question))
  }

  // MARK: Changing marks

  private func post(_ check: RequestTarget.Check, _ exchange: HTTPExchange) {
    do throws(PostRefusal) {
      if let refusal = gate.refusal(exchange) { throw refusal }
      let scope = SpoolScope(service: check.service, port: check.port == 0 ? nil : check.port)
      guard SpoolDirectory.isName(scope.description) else {
        throw PostRefusal(status: 400, sentence: "\(scope) cannot be marked: it would be no file of the spool")
      }
      let order = try SpoolOrder(exchange, query: check.query[...].cut(at: "?").after ?? "")
      Task.immediate { @LoopActor in await obey(order, scope, exchange) }
    } catch {
      answer(exchange, "post", error.status, error.sentence)
    }
  }

  private func obey(_ order: SpoolOrder, _ scope: SpoolScope, _ exchange: HTTPExchange) async {
    do {
      switch order {
      case .up: try await engine.spool.up(scope)
      case .down(let reason, let expiration, let creation):
        try await engine.spool.down(scope, reason: reason, expiration: expiration, creation: creation)
      }
      requests.count("post", 200)
      exchange.respond(status: 200, headers: HTTPFace.plain, body: [])
    } catch {
      logger.error("spool cannot be changed", [.scope: scope, .reason: "\(error)"])
      answer(exchange, "post", 500, "the spool could not be changed: \(error)")
    }
  }

  // MARK: Pages

  /// 200 as long as the operators' marks are followed; a load balancer's HEAD is answered, too.
  private func health(_ exchange: HTTPExchange) {
    guard exchange.method == "GET" || exchange.method == "HEAD" else {
      return refuseMethod(exchange, allowed: "GET, HEAD")
    }
    if let problem = engine.spool.problem {
      answer(exchange, "healthz", 503, "the spool is not followed: \(problem)")
    } else {
      answer(exchange, "healthz", 200, "ok")
    }
  }

  private func recent(_ exchange: HTTPExchange, _ query: String) {
    guard exchange.method == "GET" else { return refuseMethod(exchange, allowed: "GET") }
    do {
      let form = FormBody(query: query, contentType: nil, body: [])
      let threshold = try form.time("threshold")
      let shown = threshold.map { Int(exactly: $0).map(String.init) ?? "\($0)" } ?? "600"
      let body = seen.recent(threshold: threshold ?? 600, now: clock.unixTime, shownThreshold: shown)
      requests.count("recent", 200)
      exchange.respond(status: 200, headers: HTTPFace.json, body: Array(body.utf8))
    } catch {
      answer(exchange, "recent", 400, error.sentence)
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

extension CheckProtocol {
  /// The name in metrics.
  var route: StaticString {
    switch self {
    case .http: "http"
    case .https: "https"
    case .tcp: "tcp"
    case .smtp: "smtp"
    case .mysql: "mysql"
    case .redis: "redis"
    case .spool: "spool"
    }
  }
}
