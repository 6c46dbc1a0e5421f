internal import Logging
internal import Reactor
internal import SmartStack

/// Answers health questions: from downtimes first, then from the cache, then by a live check.
@LoopActor final class CheckEngine {
  /// A question with everything the headers say about it.
  struct Question {
    let check: CheckPath
    /// nil for this machine.
    let host: String?
    let port: Int
    /// Whether the client wants an answer that was not kept.
    let bust: Bool
    let peer: String
    /// The service's record in ``CheckEngine/seen``.
    fileprivate let record: SeenServices.Record
  }

  let spool: Spool
  let cache: CheckCache
  let slots: CheckSlots
  let own: OwnAddresses
  let requests: RequestCounters
  private(set) var seen: SeenServices
  private let configuration: HacheckConfiguration
  private let clock: LoopClock
  private let durations: [CheckProtocol: Histogram]
  private let waits: Histogram
  private let refusals: Counter
  /// Open connections to services, by place and protocol; empty unless they are reused.
  private var connections = LRUTable<CheckKey, KeptConnection>(capacity: CheckEngine.keptConnections)

  /// Each is a descriptor.
  private static let keptConnections = 1024
  /// Sent as `User-Agent`, unless the configuration has the client's copied.
  private static let userAgent = "smartstack-hacheck"
  /// These belong to one connection, or would make the request another one; they are never copied.
  private static let neverCopied = [
    "Connection", "Content-Length", "Expect", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding",
    "Upgrade",
  ]

  init(configuration: HacheckConfiguration, clock: LoopClock, logger: Logger, metrics: Metrics) {
    self.configuration = configuration
    self.clock = clock
    spool = Spool(root: configuration.spoolRoot, clock: clock, logger: logger)
    cache = CheckCache(lifetime: configuration.cacheTime, capacity: configuration.cacheSize, clock: clock)
    slots = CheckSlots(perTarget: configuration.checksPerTarget, inAll: configuration.checksInAll, clock: clock)
    own = OwnAddresses(host: configuration.hostAddress, clock: clock)
    requests = RequestCounters(metrics)
    seen = SeenServices(capacity: configuration.seenServicesSize, lifetime: configuration.seenServicesTime.seconds)
    durations = Dictionary(
      uniqueKeysWithValues: CheckProtocol.allCases.map { kind in
        let help = "How long live checks took, waiting for a slot not included."
        return (
          kind, metrics.histogram("hacheck_check_duration_seconds", labels: ["protocol": kind.rawValue], help: help)
        )
      })
    waits = metrics.histogram(
      "hacheck_check_wait_seconds", help: "How long live checks waited for a slot, those included that waited in vain.")
    refusals = metrics.counter("hacheck_checks_refused_total", help: "Live checks that found no slot in time.")
    metrics.onRender { [weak self] metrics in self?.publish(metrics) }
  }

  /// Removes what is too old from the cache and from ``seen``, and connections that services have closed.
  func sweep() {
    cache.sweep()
    connections.removeAll { !$0.isUsable }
    seen.sweep(now: clock.unixTime)
  }

  // MARK: Questions

  /// Reads the headers that say where the instance is and how fresh the answer must be, and records the question.
  /// - Throws: ``Refusal`` for an address that must not be asked.
  func question(_ check: CheckPath, headers: RequestHeaders, peer: String) throws(Refusal) -> Question {
    var (address, port): (IPAddress?, Int) = (nil, check.port)
    if let header = headers.first("X-Haproxy-Server-State") {
      let state = try ServerState(haproxy: header)
      address = state.address
      port = state.port ?? port
    }
    if address == nil, let header = headers.first("X-Nerve-Check-IP") {
      address = try ServerState(nerve: header).address
    }
    let host = try address.flatMap { address throws(Refusal) in try hostName(address) }
    return Question(
      check: check, host: host, port: port, bust: headers.first("Pragma") == "no-cache", peer: peer,
      record: seen.ask(check.service, peer: peer, time: clock.unixTime))
  }

  /// The address as downtimes and checks name it; nil for this machine.
  private func hostName(_ address: IPAddress) throws(Refusal) -> String? {
    if address == CheckEngine.loopback || address == own.host { return nil }
    guard own.contains(address) || configuration.checkNetworks.contains(where: { $0.contains(address) }) else {
      throw Refusal("\(address) is not an address of this machine, and check_networks does not name its network")
    }
    return address.description
  }

  private static let loopback = IPAddress("127.0.0.1")

  // MARK: Answers

  /// The answer, when it takes no live check.
  func answerAtOnce(_ question: Question) -> CheckOutcome? {
    let found: CheckOutcome?
    if let downtime = downtime(question) {
      found = CheckOutcome(downtime)
    } else if question.check.protocol == .spool {
      found = .up
    } else {
      found = cache.answer(key(question), bust: question.bust)
    }
    if let found { record(found, for: question) }
    return found
  }

  /// Makes or joins a live check, after ``answerAtOnce(_:)`` had nothing.
  func answerLater(
    _ question: Question, headers: RequestHeaders, then: @escaping @LoopActor (CheckOutcome) -> Void
  ) {
    let live = live(question, headers: headers)
    let answer: @LoopActor (CheckOutcome) -> Void = { [self] outcome in
      // A downtime that was set meanwhile is newer.
      let outcome = downtime(question).map(CheckOutcome.init) ?? outcome
      record(outcome, for: question)
      then(outcome)
    }
    cache.join(key(question), then: answer) { [self] in await run(live) }
  }

  /// Makes or joins a live check, for a caller without a socket.
  func answerLater(_ question: Question, headers: RequestHeaders) async -> CheckOutcome {
    let answered = OneShotEvent<CheckOutcome>()
    answerLater(question, headers: headers) { answered.happen(with: $0) }
    return (try? await answered.outcome().get()) ?? .up
  }

  private func record(_ outcome: CheckOutcome, for question: Question) {
    SeenServices.answer(question.record, code: max(200, outcome.code), peer: question.peer, time: clock.unixTime)
    requests.count(question.check.protocol.route, status: outcome.status)
  }

  private func downtime(_ question: Question) -> Downtime? {
    spool.downtime(for: question.check.service, port: question.port, host: question.host)
  }

  private func key(_ question: Question) -> CheckKey {
    CheckKey(
      protocol: question.check.protocol, host: question.host ?? "127.0.0.1", port: question.port,
      path: question.check.path, service: configuration.serviceNameHeader == nil ? "" : question.check.service)
  }

  // MARK: Live checks

  private func live(_ question: Question, headers: RequestHeaders) -> LiveCheck? {
    guard question.port != 0 else { return nil }
    let endpoint = Endpoint.tcp(host: question.host ?? "127.0.0.1", port: question.port)
    let isHTTP = question.check.protocol == .http || question.check.protocol == .https
    return LiveCheck(
      question.check.protocol, at: endpoint, target: "/" + question.check.query,
      headers: isHTTP ? outgoing(headers, to: endpoint, of: question.check.service) : [],
      connection: isHTTP && configuration.reusesConnections ? connection(for: question) : nil,
      configuration: configuration)
  }

  /// The place of a service's open connection, whatever is asked there.
  private func connection(for question: Question) -> KeptConnection {
    var place = key(question)
    (place.path, place.service) = ("", "")
    if let known = connections.use(place) { return known }
    let made = KeptConnection()
    connections.set(place, to: made)
    return made
  }

  private func outgoing(_ headers: RequestHeaders, to endpoint: Endpoint, of service: String) -> [HTTPHeader] {
    var fields: [HTTPHeader] = []
    for name in configuration.headersToCopy
    where !CheckEngine.neverCopied.contains(where: name.equalsIgnoringASCIICase) {
      let values = headers.all(name)
      guard !values.isEmpty, !values.contains(where: { $0.utf8.contains { $0 < 0x20 && $0 != 0x09 } }) else { continue }
      fields.append(HTTPHeader(name: name, value: values.joined(separator: ",")))
    }
    if let name = configuration.serviceNameHeader {
      fields.removeAll { $0.name.equalsIgnoringASCIICase(name) }
      fields.append(HTTPHeader(name: name, value: service))
    }
    for (name, value) in [("User-Agent", CheckEngine.userAgent), ("Host", "\(endpoint)")]
    where !fields.contains(where: { $0.name.equalsIgnoringASCIICase(name) }) {
      fields.append(HTTPHeader(name: name, value: value))
    }
    return fields
  }

  private func run(_ live: LiveCheck?) async -> CheckOutcome {
    guard let live else { return CheckOutcome(code: 599, "port 0 cannot be asked; the port was to come from a header") }
    let limit = configuration.healthcheckTimeout
    let asked = clock.now
    let isAdmitted = await slots.acquire(live.endpoint, within: limit)
    waits.observe(clock.now - asked)
    guard isAdmitted else {
      refusals.increment()
      return CheckOutcome(
        code: 599, "no answer: \(configuration.checksPerTarget) other checks of \(live.endpoint) are under way")
    }
    let begun = clock.now
    let outcome = await live.run(deadline: max(.milliseconds(1), limit - (begun - asked)), clock: clock)
    slots.release(live.endpoint)
    durations[live.protocol]?.observe(clock.now - begun)
    return outcome
  }

  // MARK: Metrics

  private func publish(_ metrics: Metrics) {
    let statistics = cache.statistics
    metrics.gauge("hacheck_cache_bytes", help: "Bytes of bodies and keys of the answers kept.").value =
      Double(cache.cost)
    metrics.gauge("hacheck_cache_entries", help: "Answers kept.").value = Double(cache.count)
    metrics.counter("hacheck_cache_hits_total", help: "Questions answered from the cache.").raise(
      to: Double(statistics.hits))
    metrics.counter("hacheck_cache_misses_total", help: "Questions that took a live check.").raise(
      to: Double(statistics.misses))
    metrics.gauge("hacheck_checks_in_flight", help: "Live checks under way.").value = Double(slots.busyCount)
    metrics.gauge("hacheck_checks_waiting", help: "Live checks waiting for a slot.").value = Double(slots.waitingCount)
    metrics.gauge("hacheck_seen_services", help: "Services in /recent and on the page.").value = Double(seen.count)
    let downtimes = spool.countByScope
    for (scope, count) in [
      ("all", downtimes.everything), ("service", downtimes.service), ("instance", downtimes.instance),
    ] {
      metrics.gauge("hacheck_downtimes", labels: ["scope": scope], help: "Active downtimes.").value = Double(count)
    }
    publishStarts(metrics)
  }

  /// With more downtimes than this none has a figure of its own.
  private static let mostDowntimes = 500

  private func publishStarts(_ metrics: Metrics) {
    metrics.removeAll("hacheck_downtime_timestamp_seconds")
    guard spool.all.count <= CheckEngine.mostDowntimes else { return }
    for downtime in spool.all.values {
      let scope =
        switch downtime.scope {
        case .everything: "all"
        case .service: "service"
        case .instance: "instance"
        }
      metrics.gauge(
        "hacheck_downtime_timestamp_seconds", labels: ["scope": scope, "name": downtime.scope.description],
        help: "When a downtime was set, 0: unknown."
      ).value = downtime.creation ?? 0
    }
  }
}
