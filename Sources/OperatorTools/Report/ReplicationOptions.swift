internal import HAProxyRuntime
internal import Reactor
internal import SmartStack

/// Options of the command `smartstack-status`.
struct ReplicationOptions: Sendable {
  /// Source of the numbers.
  enum Source: String, CaseIterable, Sendable {
    /// The registry says what there is and where, HAProxy what of it is up.
    case both
    /// What is registered counts as up.
    case registry
    /// Only HAProxy is asked.
    case haproxy
  }

  /// A HAProxy's stats page; without a location, that of this host's own location.
  struct Proxy: Hashable, Sendable {
    /// Of the discover level; nil: this host's.
    var location: String?
    /// Where the page is.
    var endpoint: Endpoint

    /// Where HAProxy's page is by custom.
    static let defaultPort = 3212

    /// Reads `[LOCATION=]HOST[:PORT]`, an IPv6 address in brackets; nil for anything else.
    init?(_ text: String) {
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

  /// Names of the services, as `service.namespace`.
  var services: [String]
  /// synapse's configuration, which says in which registry each service is; nil: nerve's usual place in ZooKeeper.
  var configuration: String?
  /// ZooKeeper servers; empty: those of ``topologyPath``.
  var zooKeepers: [String] = []
  /// A list of `[host, port]`.
  var topologyPath = "/nail/etc/zookeeper_discovery/infrastructure/local.yaml"
  /// Directory of the soa-configs.
  var servicesDirectory = "/nail/etc/services"
  /// One file per type of location, and `services/location_types.json`.
  var locationsDirectory = "/nail/etc"
  /// In place of a service's `discover`.
  var level: String?
  /// Locations that must have the services.
  var locations: [String] = []
  /// Instances of a service everywhere together; nil: what is registered.
  var expected: Int?
  /// Instances are counted in the services' `marathon-<cluster>.yaml`; nil: ``expected``.
  var cluster: String?
  /// HAProxys; empty: the one on this host.
  var proxies: [Proxy] = []
  /// Source of the numbers.
  var source = Source.both
  /// From when on there are too few.
  var thresholds = ReplicationThresholds()
  /// How long the registry may take.
  var registryDeadline = Duration.seconds(10)

  /// Creates options with the usual places.
  init(services: [String]) { self.services = services }
}
