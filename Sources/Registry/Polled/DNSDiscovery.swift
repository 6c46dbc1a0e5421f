public import Reactor
internal import SmartStack
internal import YAMLConfig

/// The keys of every method that looks names up.
public struct DNSLookUps: Hashable, Sendable {
  /// `nameserver`: numeric hosts to ask; empty: the system's name servers.
  public var nameservers: [Endpoint] = []
  /// `check_interval`: the time between two look-ups.
  public var interval: Duration = .seconds(30)

  init(_ source: DiscoverySource) throws(ConfigError) {
    for text in try source.section.strings("nameserver") {
      guard let (host, port) = WebAddress.split(text, defaultPort: 53), ServerText.isAddress(host) else {
        throw source.section.error(
          at: "nameserver", "'\(text)' is not an address; a name server is never looked up itself")
      }
      nameservers.append(.tcp(host: host, port: port))
    }
    interval = try source.interval(default: interval)
  }
}

/// A `discovery` section with method dns.
struct DNSDiscovery: DiscoverySettings {
  /// The names to look up; each stands for as many servers as its host has addresses. A host of the form
  /// `_service._proto.domain` stands for the servers of its SRV records.
  var servers: [Backend] = []
  /// The way to look them up.
  var lookUps: DNSLookUps

  init(_ source: DiscoverySource) throws(ConfigError) {
    lookUps = try DNSLookUps(source)
    for server in try source.section.sectionList("servers") {
      let isService = DNSNames.isServiceName(try server.string("host"))
      // A port that the service's override or an SRV record replaces need not be given.
      let port = try server.int("port", in: 1...65_535, default: source.hasPortOverride || isService ? 1 : nil)
      servers.append(try Backend(configured: server, port: port, acceptsHost: DNSNames.isServiceName))
    }
    if servers.isEmpty { throw source.section.error(at: "servers", "at least one name to resolve is needed") }
  }

  var place: String { "dns \(servers.map(\.host).joined(separator: ","))" }

  @LoopActor func makeWatcher(in environment: WatchEnvironment) -> any RegistryWatcher {
    PollWatcher(
      every: lookUps.interval, of: DNSNames(nameservers: lookUps.nameservers).parts(servers),
      counters: DNSNames.counters, environment: environment)
  }
}
