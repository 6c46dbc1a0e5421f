internal import AgentKit
internal import ArgumentParser

/// Where `smartstack-status` finds services, places and answers.
struct ReplicationPlaces: ParsableArguments {
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
      "A HAProxy's statistics page, at port 3212 by default. Repeatable. (default: this host's)",
      valueName: "[location=]host[:port]"),
    transform: proxyAt)
  var haproxy: [ReplicationOptions.Proxy] = []
  @Option(help: "Source of the numbers: both, registry or haproxy.", transform: sourceNamed) var source =
    ReplicationOptions
    .Source
    .both
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

  func fill(_ options: inout ReplicationOptions) {
    (options.configuration, options.zooKeepers, options.topologyPath) = (synapseConfig, zookeeper, zkTopologyPath)
    (options.proxies, options.source, options.level) = (haproxy, source, level)
    let environment = ProcessEnvironment["SOA_DIR"]
    options.servicesDirectory = soaDir ?? environment ?? options.servicesDirectory
    options.locationsDirectory = locationDir
    options.registryDeadline = .seconds(timeout)
  }
}

@Sendable private func proxyAt(_ text: String) throws -> ReplicationOptions.Proxy {
  if let proxy = ReplicationOptions.Proxy(text) { return proxy }
  throw ValidationError("'\(text)' is not [LOCATION=]HOST[:PORT].")
}

@Sendable private func sourceNamed(_ text: String) throws -> ReplicationOptions.Source {
  if let source = ReplicationOptions.Source(rawValue: text) { return source }
  let words = ReplicationOptions.Source.allCases.map(\.rawValue).joined(separator: ", ")
  throw ValidationError("'\(text)' is none of \(words).")
}
