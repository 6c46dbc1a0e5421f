internal import Logging
internal import Reactor
internal import SmartStack

/// Answers questions: marks first, then the cache, then a live check.
@LoopActor final class CheckEngine {
  /// A question with everything the headers say about it.
  struct Question {
    let check: RequestTarget.Check
    /// nil for this machine.
    let host: String?
    let port: Int
    /// Whether a kept answer will not do.
    let bust: Bool
  }

  let spool: Spool
  let cache: CheckCache
  let slots: CheckSlots
  let own: OwnAddresses
  private let configuration: HacheckConfiguration
  private let clock: LoopClock
  private let accounts: ProbeAccounts
  private let durations: [CheckProtocol: Histogram]
  private let waits: Histogram
  private let refusals: Counter

  /// Sent as `User-Agent`, unless the configuration has the asker's copied.
  private static let userAgent = "smartstack-hacheck"
  /// These belong to one connection, or would make the request another one; they are never copied.
  private static let neverCopied = [
    "Connection", "Content-Length", "Expect", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding",
    "Upgrade",
  ]

  init(configuration: HacheckConfiguration, clock: LoopClock, logger: Logger, metrics: Metrics) {
    self.configuration = configuration
    self.clock = clock
    accounts = ProbeAccounts(configuration)
    spool = Spool(root: configuration.spoolRoot, clock: clock, logger: logger)
    cache = CheckCache(lifetime: configuration.cacheTime, capacity: configuration.cacheSize, clock: clock)
    slots = CheckSlots(perTarget: configuration.checksPerTarget, inAll: configuration.checksInAll, clock: clock)
    own = OwnAddresses(host: configuration.hostAddress, clock: clock)
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
    metrics.onRender { [weak cache] metrics in
      metrics.gauge("hacheck_cache_bytes", help: "Bytes of bodies and keys of the answers kept.").value =
        Double(cache?.cost ?? 0)
    }
  }

  // MARK: Questions

  /// Reads the headers that say where the instance is and how fresh the answer must be.
  func question(_ check: RequestTarget.Check, _ headers: RequestHeaders) throws(Refusal) -> Question {
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
    return Question(check: check, host: host, port: port, bust: headers.first("Pragma") == "no-cache")
  }

  /// The address as marks and checks name it; nil for this machine.
  private func hostName(_ address: IPAddress) throws(Refusal) -> String? {
    if address == CheckEngine.loopback || address == own.host { return nil }
    guard own.contains(address) || configuration.checkNetworks.contains(where: { $0.contains(address) }) else {
      throw Refusal("\(address) is no address of this machine, and check_networks does not name its network")
    }
    return address.description
  }

  private static let loopback = IPAddress("127.0.0.1")

  // MARK: Answers

  /// The answer, when it takes no live check.
  func answerAtOnce(_ question: Question) -> CheckOutcome? {
    if let mark = mark(question) { return CheckOutcome(mark) }
    if question.check.protocol == .spool { return CheckOutcome.up }
    return cache.answer(key(question), bust: question.bust)
  }

  /// Makes or joins a live check, after ``answerAtOnce(_:)`` had nothing.
  func answerLater(
    _ question: Question, _ headers: RequestHeaders, then: @escaping @LoopActor (CheckOutcome) -> Void
  ) {
    let live = live(question, headers)
    let answer: @LoopActor (CheckOutcome) -> Void = { [self] outcome in
      // A mark that was set meanwhile is the newer word.
      then(mark(question).map(CheckOutcome.init) ?? outcome)
    }
    cache.join(key(question), then: answer) { [self] in await run(live) }
  }

  func mark(_ question: Question) -> SpoolMark? {
    spool.mark(for: question.check.service, port: question.port, host: question.host)
  }

  private func key(_ question: Question) -> CheckKey {
    CheckKey(
      protocol: question.check.protocol, host: question.host ?? "127.0.0.1", port: question.port,
      path: question.check.path, service: configuration.serviceNameHeader == nil ? "" : question.check.service)
  }

  // MARK: Live checks

  private func live(_ question: Question, _ headers: RequestHeaders) -> LiveCheck {
    let endpoint = Endpoint.tcp(host: question.host ?? "127.0.0.1", port: question.port)
    let isHTTP = question.check.protocol == .http || question.check.protocol == .https
    return LiveCheck(
      protocol: question.check.protocol, endpoint: endpoint, target: "/" + question.check.query,
      headers: isHTTP ? outgoing(question.check.service, endpoint, headers) : [],
      bodyLimit: configuration.bodyLimit, accounts: accounts)
  }

  private func outgoing(_ service: String, _ endpoint: Endpoint, _ headers: RequestHeaders) -> [HTTPHeader] {
    var fields: [HTTPHeader] = []
    for name in configuration.headersToCopy where !CheckEngine.neverCopied.contains(where: name.equalsIgnoringCase) {
      let values = headers.all(name)
      guard !values.isEmpty, !values.contains(where: { $0.utf8.contains { $0 < 0x20 && $0 != 0x09 } }) else { continue }
      fields.append(HTTPHeader(name: name, value: values.joined(separator: ",")))
    }
    if let name = configuration.serviceNameHeader {
      fields.removeAll { $0.name.equalsIgnoringCase(name) }
      fields.append(HTTPHeader(name: name, value: service))
    }
    for (name, value) in [("User-Agent", CheckEngine.userAgent), ("Host", "\(endpoint)")]
    where !fields.contains(where: { $0.name.equalsIgnoringCase(name) }) {
      fields.append(HTTPHeader(name: name, value: value))
    }
    return fields
  }

  private func run(_ live: LiveCheck) async -> CheckOutcome {
    if live.port == 0 { return CheckOutcome(code: 599, "port 0 cannot be asked; the port was to come from a header") }
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
}

extension CheckOutcome {
  /// A service without a mark, asked for its marks only.
  static let up = CheckOutcome(code: 200, body: [])

  /// What a mark is answered with.
  init(_ mark: SpoolMark) {
    self.init(code: 503, mark.downText)
  }
}
