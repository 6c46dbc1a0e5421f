internal import HAProxyRuntime
public import Reactor
internal import SmartStack

/// What `smartstack-status` is asked, and where it looks.
public struct ReplicationOptions: Sendable {
  /// Who is believed.
  public enum Source: String, CaseIterable, Sendable {
    /// The registry says what there is and where, HAProxy what of it is up.
    case both
    /// What is registered counts as up.
    case registry
    /// Only HAProxy is asked.
    case haproxy
  }

  /// A HAProxy's stats page; without a location, that of this host's own location.
  public struct Proxy: Hashable, Sendable {
    /// Of the discover level; nil: this host's.
    public var location: String?
    /// Where the page is.
    public var endpoint: Endpoint

    /// Where HAProxy's page is by custom.
    public static let defaultPort = 3212

    /// Reads `[LOCATION=]HOST[:PORT]`, an IPv6 address in brackets; nil for anything else.
    public init?(_ text: String) {
      let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let address = String(parts[parts.count - 1])
      location = parts.count == 2 ? String(parts[0]) : nil
      if let place = ServerPlace(address) {
        endpoint = .tcp(host: place.host, port: place.port)
      } else {
        guard !address.isEmpty, location != "", !address.contains(":") else { return nil }
        endpoint = .tcp(host: address, port: Proxy.defaultPort)
      }
    }
  }

  /// `service.namespace` each.
  public var services: [String]
  /// synapse's configuration, which says in which registry each service is; nil: nerve's usual place in ZooKeeper.
  public var configuration: String?
  /// ZooKeeper servers; empty: those of ``topologyPath``.
  public var zooKeepers: [String] = []
  /// A list of `[host, port]`.
  public var topologyPath = "/nail/etc/zookeeper_discovery/infrastructure/local.yaml"
  /// soa-configs.
  public var servicesDirectory = "/nail/etc/services"
  /// One file per type of location, and `services/location_types.json`.
  public var locationsDirectory = "/nail/etc"
  /// In place of a service's `discover`.
  public var level: String?
  /// Locations that must have the services.
  public var locations: [String] = []
  /// Instances of a service everywhere together; nil: what is registered.
  public var expected: Int?
  /// Instances are counted in the services' `marathon-<cluster>.yaml`; nil: ``expected``.
  public var cluster: String?
  /// HAProxys; empty: the one on this host.
  public var proxies: [Proxy] = []
  /// Who is believed.
  public var source = Source.both
  /// From when on there are too few.
  public var thresholds = ReplicationThresholds()
  /// How long the registry may take.
  public var registryDeadline = Duration.seconds(10)

  /// The usual places.
  public init(services: [String]) { self.services = services }
}

/// Why a service's replication cannot be told.
struct ReplicationFailure: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}
