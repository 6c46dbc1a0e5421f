internal import ArgumentParser
internal import Glibc
internal import OperatorTools

/// Where `smartstack-status` finds services, places and answers.
struct ReplicationPlaces: ParsableArguments {
  @Option(help: ArgumentHelp("Registries as this synapse.conf.json has them.", valueName: "file"))
  var synapseConfig: String?
  @Option(help: ArgumentHelp("The registry; repeatable. Without it --zk-topology-path.", valueName: "host:port"))
  var zookeeper: [String] = []
  @Option(help: ArgumentHelp("A list of [host, port].", valueName: "file"))
  var zkTopologyPath = "/nail/etc/zookeeper_discovery/infrastructure/local.yaml"
  @Option(
    help: ArgumentHelp("A HAProxy's stats page; repeatable. Port 3212.", valueName: "[location=]host[:port]"),
    transform: proxyAt)
  var haproxy: [ReplicationOptions.Proxy] = []
  @Option(help: "Who is believed: both, registry or haproxy.", transform: sourceNamed) var source = ReplicationOptions
    .Source
    .both
  @Option(name: .shortAndLong, help: ArgumentHelp("How long the registry may take.", valueName: "s")) var timeout = 10.0
  @Option(help: ArgumentHelp("In place of discover in smartstack.yaml.", valueName: "type")) var level: String?
  @Option(help: ArgumentHelp("soa-configs; or SOA_DIR.", valueName: "dir")) var soaDir: String?
  @Option(help: ArgumentHelp("One file per type of location.", valueName: "dir")) var locationDir = "/nail/etc"

  mutating func validate() throws {
    if !(0.1...3600).contains(timeout) { throw ValidationError("--timeout takes 0.1 to 3600 seconds, not \(timeout).") }
  }

  func fill(_ options: inout ReplicationOptions) {
    (options.configuration, options.zooKeepers, options.topologyPath) = (synapseConfig, zookeeper, zkTopologyPath)
    (options.proxies, options.source, options.level) = (haproxy, source, level)
    let environment = getenv("SOA_DIR").map { String(cString: $0) }
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
