internal import AgentKit
public import HAProxyConfigGen
public import Registry
public import YAMLConfig
public import ZooKeeper

/// All of `synapse.conf.json`, decoded; what was wrong with single services stands beside the good ones.
public struct SynapseConfiguration: Sendable {
  /// The file it came from, as the operator named it.
  public var file: String
  /// The services that can be run, in the file's order.
  public var services: [ServiceConfiguration] = []
  /// The `haproxy` section; nil: no HAProxy is kept.
  public var haproxy: HAProxyConfiguration?
  /// `file_output`: the directory where one JSON file per service is kept; nil: no files are kept.
  var fileOutputDirectory: String?
  /// The `exec_output` section; nil: no command is run.
  var execOutput: ExecOutputConfiguration?
  /// The `statsd` section, where upstream's metrics go: a host, a UDP port, and rates by the metrics' names, 1 where none is
  /// given; nil: nowhere.
  public var statsd: (host: String, port: Int, sampleRates: [String: Double])?
  /// Where the agent keeps its lock; nil: the usual places.
  public var stateDirectory: String?
  /// `status_port`: where status and metrics are served besides the state directory's socket; nil: nowhere.
  public var statusPort: Int?
  /// `status_address`: which address it listens on.
  public var statusAddress = "127.0.0.1"
  /// `status_hosts`: names of this machine, besides its own, at which browsers are answered there.
  public var statusHosts: [String] = []
  /// `zk_tls`: the ensembles that are spoken to by TLS.
  public var tls: [ZooKeeperTLS] = []
  /// How long a start waits for the first data of every service before it makes do with what is remembered.
  public var firstDataDeadline: Duration = .seconds(10)
  /// The services that cannot be run, each with the reason at its place in its file.
  public var skipped: [SkippedService] = []
  /// Unknown keys and other oddities.
  public var warnings: [ConfigError] = []

  var files = ConfigurationFiles()

  /// A configuration without services and outputs.
  public init(file: String) { self.file = file }
}

/// A service that is not run because of what its configuration holds.
public struct SkippedService: Hashable, Sendable, CustomStringConvertible {
  /// Its key under `services`.
  public var name: String
  /// What is wrong with it.
  public var error: ConfigError

  /// `synapse.conf.json:3:11: services.web.haproxy.port: …; service web is skipped`.
  public var description: String { "\(error); service \(name) is skipped" }
}

/// One entry of `services`, decoded.
public struct ServiceConfiguration: Hashable, Sendable {
  /// Its key under `services`.
  public var name: String
  /// Where its servers are found.
  public var discovery: Discovery
  /// What becomes of the servers found; the filters are those of the discovery.
  public var rules = BackendPolicy.Rules()
  /// The `haproxy` section of the service.
  public var haproxy: ServiceSettings
  /// Whether it gets a file of its own in `file_output`.
  var writesFile = true
  /// Whether the command of `exec_output` is told of it.
  public var isTold = true

  /// A service with upstream's defaults.
  public init(name: String, discovery: Discovery) {
    self.name = name
    self.discovery = discovery
    haproxy = ServiceSettings(service: name)
  }
}
