public import Reactor
public import SmartStack

/// A `discovery` section with method dns.
public struct DNSDiscovery: Hashable, Sendable {
  /// What to resolve; each stands for as many servers as its host has addresses.
  public var servers: [Backend]
  /// `nameserver`: whom to ask; empty: the system's name servers.
  public var nameservers: [Endpoint]
  /// `check_interval`
  public var interval: Duration

  /// A section with the original's interval.
  public init(servers: [Backend], nameservers: [Endpoint] = [], interval: Duration = .seconds(30)) {
    self.servers = servers
    self.nameservers = nameservers
    self.interval = interval
  }
}
