internal import SmartStack

/// Looks names up in DNS, on the loop, with c-ares: nothing blocks, and no thread is occupied.
///
/// A question that is under way is asked once, however many wait for its answer. A caller's deadline ends that call
/// only: the answer still comes and is kept for the next one.
@LoopActor public final class NameResolver {
  /// The two families of addresses.
  public enum Family: CaseIterable, Sendable {
    /// IPv4, by A records.
    case ipv4
    /// IPv6, by AAAA records.
    case ipv6

    fileprivate var type: RecordType { self == .ipv4 ? .ipv4 : .ipv6 }
  }

  /// The resolver of `/etc/hosts` and `/etc/resolv.conf`, for connections.
  public static let system = NameResolver()

  /// A second family that is silent delays an address that is known by no more (RFC 8305, section 3).
  private static let grace: Duration = .milliseconds(50)
  /// How long a name with records of the other family only is not asked again.
  private static let emptyAnswerLifetime: Duration = .seconds(5)
  /// Answers are dropped beyond this number.
  private static let keptAnswers = 16_384

  private struct Question: Hashable {
    let name: String
    let type: RecordType
  }

  private let fixedServers: [Endpoint]?
  private let hosts: HostsFile
  private let timeout: Duration?
  private let resolvConf = "/etc/resolv.conf"
  private var stamp: FileStamp?
  private var servers: NameServers?
  private var pending: [Question: OneShotEvent<NameRecords>] = [:]
  private var answers: [Question: (records: NameRecords, validUntil: LoopClock.Instant)] = [:]

  /// - Parameters:
  ///   - nameservers: numeric hosts, asked in turn; nil: as `/etc/resolv.conf` has them at the moment, with its search
  ///     list.
  ///   - timeout: how long one server may take; nil: 5 s, or as `/etc/resolv.conf` has it.
  ///   - hostsFile: where ``addresses(of:deadline:isFresh:)`` looks first.
  public init(nameservers: [Endpoint]? = nil, timeout: Duration? = nil, hostsFile: String = "/etc/hosts") {
    fixedServers = nameservers
    self.timeout = timeout
    hosts = HostsFile(path: hostsFile)
  }

  isolated deinit { servers?.close() }

  // MARK: Questions

  /// The addresses to connect to, the preferred first: those of `/etc/hosts`, else of DNS, both families asked side by
  /// side. An answer is used for as long as its time to live allows, and after that while no name server answers.
  /// - Parameters:
  ///   - name: a name, or a numeric address, which is its own answer.
  ///   - isFresh: whether a name server is asked although its last answer still holds.
  /// - Returns: numeric addresses; none when the name does not exist.
  /// - Throws: `OperatorError`, or `CancellationError`.
  public func addresses(of name: String, deadline: Duration, isFresh: Bool = false) async throws -> [String] {
    do {
      return try await lookUp(name, deadline: deadline, isFresh: isFresh).addresses
    } catch {
      let last = Family.allCases.flatMap { lastAddresses(of: name, in: $0) ?? [] }
      if last.isEmpty { throw error }
      return NameResolver.inOrder(last)
    }
  }

  /// Like ``addresses(of:deadline:isFresh:)``, with a failure when no name server answers.
  /// - Returns: how long the addresses hold besides; nil where nobody says so, as for a name of `/etc/hosts`.
  /// - Throws: `OperatorError`, or `CancellationError`.
  public func lookUp(
    _ name: String, deadline: Duration, isFresh: Bool = false
  ) async throws -> (addresses: [String], lifetime: Duration?) {
    if SocketAddress.isNumeric(name) { return ([name], nil) }
    if let known = hosts.addresses(of: name) { return (NameResolver.inOrder(known), nil) }
    var results: [Family: Result<[String], any Error>] = [:]
    let enough = OneShotEvent<Void>()
    for family in Family.allCases {
      Task.immediate { @LoopActor in
        results[family] = await self.result(of: name, family: family, deadline: deadline, isFresh: isFresh)
        let isKnown = results.values.contains { (try? $0.get())?.isEmpty == false }
        if results.count == Family.allCases.count {
          enough.happen()
        } else if isKnown {
          LoopClock.system.schedule(after: NameResolver.grace) { enough.happen() }
        }
      }
    }
    try await enough.wait()
    if !results.values.contains(where: { (try? $0.get())?.isEmpty == false }) {
      for result in results.values { _ = try result.get() }
    }
    // A family without an answer has its last one beside the other's.
    let found = Family.allCases.filter { lastAddresses(of: name, in: $0)?.isEmpty == false }
    let lifetimes = found.compactMap { answers[Question(name: name, type: $0.type)]?.validUntil }
    return (
      NameResolver.inOrder(found.flatMap { lastAddresses(of: name, in: $0) ?? [] }),
      lifetimes.min().map { max(.zero, $0 - LoopClock.system.now) }
    )
  }

  private func result(
    of name: String, family: Family, deadline: Duration, isFresh: Bool
  ) async -> Result<[String], any Error> {
    if !isFresh, let known = answers[Question(name: name, type: family.type)], known.validUntil > LoopClock.system.now {
      return .success(known.records.addresses)
    }
    do { return .success(try await addresses(of: name, in: family, deadline: deadline)) } catch {
      return .failure(error)
    }
  }

  /// The addresses of one family that a name server knows now; `/etc/hosts` is not read.
  /// - Throws: `OperatorError`, or `CancellationError`.
  public func addresses(of name: String, in family: Family, deadline: Duration) async throws -> [String] {
    try await records(of: Question(name: name, type: family.type), deadline: deadline).addresses
  }

  /// The servers that a name server knows now for `_service._proto.domain`, in its order.
  /// - Throws: `OperatorError`, or `CancellationError`.
  public func services(of name: String, deadline: Duration) async throws -> [ServiceRecord] {
    try await records(of: Question(name: name, type: .service), deadline: deadline).services
  }

  /// The last good answer, however old; nil when there was none.
  public func lastAddresses(of name: String, in family: Family) -> [String]? {
    answers[Question(name: name, type: family.type)]?.records.addresses
  }

  // MARK: One question

  private func records(of question: Question, deadline: Duration) async throws -> NameRecords {
    let answer = pending[question] ?? OneShotEvent<NameRecords>()
    if pending.updateValue(answer, forKey: question) == nil {
      let servers = currentServers()
      let names = NameResolver.candidates(for: question.name, below: servers.searchDomains, ndots: servers.ndots)
      ask(question, as: names[...], at: servers)
    }
    if let records = try await withDeadline(after: deadline, { try await answer.wait() }) { return records }
    throw NameResolver.failure(of: question, reason: "no name server has answered within \(deadline.secondsText)")
  }

  /// Asks for one complete name after the other, until one exists.
  private func ask(_ question: Question, as names: ArraySlice<String>, at servers: NameServers) {
    guard let name = names.first else { return finish(question, with: NameRecords()) }
    servers.ask(name, type: question.type) { [weak self] reply in
      guard let self else { return }
      switch reply {
      case .message(let bytes):
        finish(question, with: NameRecords(bytes, type: question.type), or: "the answer makes no sense")
      case .noRecord:
        var records = NameRecords()
        records.timeToLive = NameResolver.emptyAnswerLifetime
        finish(question, with: records)
      case .noSuchName: ask(question, as: names.dropFirst(), at: servers)
      case .failure(let reason): finish(question, with: nil, or: reason)
      }
    }
  }

  private func finish(_ question: Question, with records: NameRecords?, or reason: String = "") {
    let event = pending.removeValue(forKey: question)
    guard let records else {
      event?.fail(with: NameResolver.failure(of: question, reason: reason))
      return
    }
    if answers.count >= NameResolver.keptAnswers { answers = [:] }
    answers[question] = (records: records, validUntil: LoopClock.system.now + records.timeToLive)
    event?.happen(with: records)
  }

  /// A name that does not exist is no failure but an empty answer.
  private static func failure(of question: Question, reason: String) -> OperatorError {
    OperatorError("\(question.name) cannot be looked up: \(reason)")
  }

  // MARK: Servers

  /// The channel for the next question; `/etc/resolv.conf` may have changed since the last one.
  private func currentServers() -> NameServers {
    let current = fixedServers == nil ? FileStamp(path: resolvConf) : nil
    if let servers, current == stamp { return servers }
    stamp = current
    let options = fixedServers == nil ? NameResolver.options(of: resolvConf) : (timeout: nil, attempts: nil)
    let made = NameServers(
      servers: fixedServers, timeout: timeout ?? options.timeout ?? .seconds(5), attempts: options.attempts ?? 2)
    servers?.close()
    servers = made
    return made
  }

  /// The options that c-ares 1.18 knows under other names.
  private static func options(of path: String) -> (timeout: Duration?, attempts: Int?) {
    var found: [Substring: Int] = [:]
    for line in String(decoding: (try? Files.read(path, limit: 1 << 16)) ?? [], as: UTF8.self).split(separator: "\n") {
      let words = line.split(whereSeparator: \.isWhitespace)
      guard words.first == "options" else { continue }
      for word in words.dropFirst() {
        let parts = word.split(separator: ":", maxSplits: 1)
        if parts.count == 2 { found[parts[0]] = Int(parts[1]) }
      }
    }
    return (found["timeout"].map { .seconds(min(max($0, 1), 30)) }, found["attempts"].map { min(max($0, 1), 5) })
  }

  /// The complete names to ask for, in order, when `name` is looked for.
  static func candidates(for name: String, below domains: [String], ndots: Int) -> [String] {
    if name.hasSuffix(".") { return [String(name.dropLast())] }
    let below = domains.map { "\(name).\($0)" }
    let dots = name.utf8.count { $0 == UInt8(ascii: ".") }
    return dots >= ndots ? [name] + below : below + [name]
  }

  /// IPv6 addresses that this host has a route to, then IPv4, then the rest: what RFC 6724 comes to for most hosts.
  private static func inOrder(_ addresses: [String]) -> [String] {
    let (ipv6, ipv4) = (addresses.filter { $0.contains(":") }, addresses.filter { !$0.contains(":") })
    let routed = ipv6.filter { $0 != "::1" && SocketAddress.hasRoute(to: $0) }
    return routed + ipv4 + ipv6.filter { !routed.contains($0) }
  }
}
