internal import AgentKit
internal import ArgumentParser
internal import HAProxyRuntime
internal import Reactor
internal import SmartStack

/// Where `smartstack-status` finds services, places and answers.
struct ReplicationPlaces: ParsableArguments {
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

  @Option(help: ArgumentHelp("A synapse.conf.json that tells the registry of each service.", valueName: "file"))
  var synapseConfig: String?
  @Option(
    help: ArgumentHelp(
      "A ZooKeeper server of the registry. Repeatable. (default: those of --zk-topology-path)", valueName: "host:port"))
  var zookeeper: [String] = []
  @Option(help: ArgumentHelp("A file with a list of [host, port], the ZooKeeper servers.", valueName: "file"))
  var zkTopologyPath = "/nail/etc/zookeeper_discovery/infrastructure/local.yaml"
  @Option(
    help: ArgumentHelp(
      "A file with zk_tls, such as nerve.conf.json, where --synapse-config is not given. (default: no TLS)",
      valueName: "file"))
  var zkTls: String?
  @Option(
    name: .customLong("haproxy"),
    help: ArgumentHelp(
      "A HAProxy's statistics page, at port 3212 by default. Repeatable. (default: this host's)",
      valueName: "[location=]host[:port]"),
    transform: proxyAt)
  var proxies: [Proxy] = []
  @Option(help: "Source of the numbers: both, registry or haproxy.", transform: sourceNamed)
  var source = Source.both
  @Option(name: .shortAndLong, help: ArgumentHelp("Seconds that the registry may take.", valueName: "s")) var timeout =
    10.0
  @Option(
    help: ArgumentHelp("Type of location to report by. (default: discover of smartstack.yaml)", valueName: "type"))
  var level: String?
  @Option(help: ArgumentHelp("Directory of soa-configs; or SOA_DIR. (default: /nail/etc/services)", valueName: "dir"))
  var soaDir: String?
  @Option(help: ArgumentHelp("Directory with one file for each type of location.", valueName: "dir")) var locationDir =
    "/nail/etc"

  mutating func validate() throws {
    if !(0.1...3600).contains(timeout) {
      throw ValidationError("--timeout expected 0.1 to 3600 seconds, not \(timeout).")
    }
  }

  var servicesDirectory: String { soaDir ?? ProcessEnvironment["SOA_DIR"] ?? "/nail/etc/services" }
}

@Sendable private func proxyAt(_ text: String) throws -> ReplicationPlaces.Proxy {
  if let proxy = ReplicationPlaces.Proxy(text) { return proxy }
  throw ValidationError("'\(text)' is not [LOCATION=]HOST[:PORT].")
}

@Sendable private func sourceNamed(_ text: String) throws -> ReplicationPlaces.Source {
  if let source = ReplicationPlaces.Source(rawValue: text) { return source }
  let words = ReplicationPlaces.Source.allCases.map(\.rawValue).joined(separator: ", ")
  throw ValidationError("'\(text)' is none of \(words).")
}
