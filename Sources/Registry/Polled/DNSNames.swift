internal import Reactor
internal import SmartStack

/// The names that a service's servers stand under, looked up at the same name servers.
@LoopActor final class DNSNames {
  /// Upstream's counter of failed look-ups.
  static let counters = PollCounters(failed: "synapse.watcher.dns.resolve_failed")
  /// For all name servers together.
  private static let patience: Duration = .seconds(30)

  private let resolver: NameResolver

  /// - Parameter nameservers: numeric hosts to ask; empty: the system's.
  init(nameservers: [Endpoint]) { resolver = NameResolver(nameservers: nameservers.isEmpty ? nil : nameservers) }

  /// Whether `host` names a service, `_service._proto.domain`, and not a host.
  nonisolated static func isServiceName(_ host: String) -> Bool {
    let labels = host.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
    guard labels.count == 3, ServerText.isDNSName(String(labels[2])) else { return false }
    return labels[..<2].allSatisfy { $0.hasPrefix("_") && ServerText.isDNSName(String($0.dropFirst())) }
  }

  /// Servers as parts to be polled, one part per host.
  func parts(_ servers: [Backend]) -> [PolledPart] {
    var hosts: [String] = []
    var byHost: [String: [Backend]] = [:]
    for server in servers {
      if byHost[server.host] == nil { hosts.append(server.host) }
      byHost[server.host, default: []].append(server)
    }
    return hosts.map { part(of: $0, servers: byHost[$0] ?? []) }
  }

  private func part(of host: String, servers: [Backend]) -> PolledPart {
    let id = "\(host) \(StableHash("\(servers)").hexadecimal)"
    if ServerText.isAddress(host) {
      let reading = RegistryReading(backends: servers)
      return PolledPart(id: id, place: host, initial: reading) { reading }
    }
    if DNSNames.isServiceName(host) {
      return PolledPart(id: id, place: host) { try await self.services(of: host, for: servers) }
    }
    let known = known(host).map { DNSNames.reading(of: servers, at: $0) }
    return PolledPart(id: id, place: host, initial: known) {
      DNSNames.reading(of: servers, at: try await self.addresses(of: host))
    }
  }

  private static func reading(of servers: [Backend], at addresses: [String]) -> RegistryReading {
    RegistryReading(
      backends: servers.flatMap { server in
        addresses.map { address in
          var backend = server
          backend.host = address
          return backend
        }
      })
  }

  /// The servers of SRV records: host and port are the record's. Its priority and weight do not count.
  private func services(of name: String, for servers: [Backend]) async throws -> RegistryReading {
    let records = try await resolver.services(of: name, deadline: DNSNames.patience)
    var reading = RegistryReading()
    for record in records.sorted(by: { ($0.host, $0.port) < ($1.host, $1.port) }) {
      let place = "\(name) at \(record.host):\(record.port)"
      guard (1...65_535).contains(record.port), ServerText.isHost(record.host) else {
        reading.skipped[place] = "it has no usable host and port"
        continue
      }
      let addresses = ServerText.isAddress(record.host) ? [record.host] : try await addresses(of: record.host)
      let ported = servers.map { server in
        var backend = server
        backend.port = record.port
        return backend
      }
      reading.backends += DNSNames.reading(of: ported, at: addresses).backends
    }
    return reading
  }

  /// IPv4 and IPv6 addresses, all sorted as text; nil before the first answer.
  private func known(_ host: String) -> [String]? {
    let answers = NameResolver.Family.allCases.compactMap { resolver.lastAddresses(of: host, in: $0) }
    return answers.isEmpty ? nil : answers.flatMap { $0 }.sorted()
  }

  /// The addresses after both families have been asked for; one that cannot be had keeps its last answer.
  /// - Throws: `OperatorError` when neither can be had, or one cannot and there is none of the other.
  private func addresses(of host: String) async throws -> [String] {
    async let ipv4 = failure(of: host, in: .ipv4)
    async let ipv6 = failure(of: host, in: .ipv6)
    let failures = [await ipv4, await ipv6].compactMap { $0 }
    let all = known(host) ?? []
    if let failure = failures.first, all.isEmpty || failures.count == 2 { throw failure }
    return all
  }

  private func failure(of host: String, in family: NameResolver.Family) async -> (any Error)? {
    do {
      _ = try await resolver.addresses(of: host, in: family, deadline: DNSNames.patience)
      return nil
    } catch {
      return error
    }
  }
}
