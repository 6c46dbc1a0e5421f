internal import Reactor
internal import SmartStack

/// The names that a service's servers stand under, and what is known of each, whatever becomes of the servers.
@LoopActor final class DNSNames {
  /// The original's.
  static let counters = PollCounters(failed: "synapse.watcher.dns.resolve_failed")

  private let nameservers: [Endpoint]
  private var lookUps: [String: NameLookUp] = [:]

  /// - Parameter nameservers: whom to ask; empty: the system's.
  init(nameservers: [Endpoint]) { self.nameservers = nameservers }

  /// Servers as parts to be polled, one part per host. Names that are no longer among them are forgotten.
  func parts(_ servers: [Backend]) -> [PolledPart] {
    var hosts: [String] = []
    var byHost: [String: [Backend]] = [:]
    for server in servers {
      if byHost[server.host] == nil { hosts.append(server.host) }
      byHost[server.host, default: []].append(server)
    }
    lookUps = lookUps.filter { byHost[$0.key] != nil }
    return hosts.map { part($0, byHost[$0] ?? []) }
  }

  private func part(_ host: String, _ servers: [Backend]) -> PolledPart {
    let id = "\(host) \(StableHash("\(servers)").hexadecimal)"
    if ServerText.isAddress(host) {
      let reading = PartReading(backends: servers)
      return PolledPart(id: id, place: host, initial: reading) { reading }
    }
    let lookUp = lookUps[host] ?? NameLookUp(host, nameservers)
    lookUps[host] = lookUp
    return PolledPart(id: id, place: host, initial: lookUp.known.map { DNSNames.reading(servers, at: $0) }) {
      DNSNames.reading(servers, at: try await lookUp.addresses())
    }
  }

  private static func reading(_ servers: [Backend], at addresses: [String]) -> PartReading {
    PartReading(
      backends: servers.flatMap { server in
        addresses.map { address in
          var backend = server
          backend.host = address
          return backend
        }
      })
  }
}

/// One name. The two kinds of addresses are asked for separately, and one that cannot be had does not take the other
/// with it.
@LoopActor final class NameLookUp {
  private let host: String
  private let nameservers: [Endpoint]
  private var answers: [DNSRecordType: [String]] = [:]

  init(_ host: String, _ nameservers: [Endpoint]) {
    self.host = host
    self.nameservers = nameservers
  }

  /// IPv4 and IPv6 addresses, all sorted as text; nil before the first answer.
  var known: [String]? { answers.isEmpty ? nil : answers.values.flatMap { $0 }.sorted() }

  /// What is ``known`` after both kinds have been asked for.
  /// - Throws: ``DNSFailure`` when neither can be had, or one cannot and there is none of the other.
  func addresses() async throws -> [String] {
    let resolver =
      nameservers.isEmpty
      ? try await DNSResolver.system() : DNSResolver(ResolverConfiguration(nameservers: nameservers))
    async let ipv4 = NameLookUp.result(resolver, host, .ipv4)
    async let ipv6 = NameLookUp.result(resolver, host, .ipv6)
    var failures: [any Error] = []
    for (type, result) in [(DNSRecordType.ipv4, await ipv4), (.ipv6, await ipv6)] {
      switch result {
      case .success(let addresses): answers[type] = addresses
      case .failure(let error): failures.append(error)
      }
    }
    let all = known ?? []
    if let failure = failures.first, all.isEmpty || failures.count == 2 { throw failure }
    return all
  }

  private static func result(
    _ resolver: DNSResolver, _ host: String, _ type: DNSRecordType
  ) async -> Result<[String], any Error> {
    do { return .success(try await resolver.addresses(of: host, type: type)) } catch { return .failure(error) }
  }
}
