public import HAProxyConfigGen
public import HAProxyRuntime
public import YAMLConfig

/// All of `synapse.conf.json`, decoded; what was wrong with single services stands beside the good ones.
public struct SynapseConfiguration: Sendable {
  /// The file it came from, as the operator named it.
  public var file: String
  /// The services that can be run, in the file's order.
  public var services: [ServiceConfiguration] = []
  /// The `haproxy` section; nil: no HAProxy is kept.
  public var haproxy: HAProxyConfiguration?
  /// The `file_output` section; nil: no files are kept.
  public var fileOutput: FileOutputConfiguration?
  /// The `exec_output` section; nil: no command is run.
  public var execOutput: ExecOutputConfiguration?
  /// Where the original's StatsD metrics go; nil: nowhere.
  public var statsd: StatsDConfiguration?
  /// Where the agent keeps its lock; nil: the usual places.
  public var stateDirectory: String?
  /// `status_port`: where status and metrics are served besides the state directory's socket; nil: nowhere.
  public var statusPort: Int?
  /// `status_address`: which address it listens on.
  public var statusAddress = "127.0.0.1"
  /// How long a start waits for the first data of every service before it makes do with what is remembered.
  public var firstDataDeadline: Duration = .seconds(10)
  /// The services that cannot be run, each with the reason at its place in its file.
  public var leftOut: [LeftOutService] = []
  /// Unknown keys and other oddities.
  public var warnings: [ConfigError] = []

  /// An empty configuration.
  public init(file: String) { self.file = file }
}

/// A service that is not run because of what its configuration holds.
public struct LeftOutService: Hashable, Sendable, CustomStringConvertible {
  /// Its key under `services`.
  public var name: String
  /// What is wrong with it.
  public var error: ConfigError

  /// `synapse.conf.json:3:11: services.web.haproxy.port: …; service web is left out`.
  public var description: String { "\(error); service \(name) is left out" }
}

/// How HAProxy is kept: the part of the `haproxy` section that is not about the file's text.
public struct HAProxyConfiguration: Hashable, Sendable {
  /// What the file's text is made from.
  public var generator = GeneratorSettings()
  /// `do_writes`: whether the file is kept.
  public var writesFile = true
  /// `config_file_path`; empty only without ``writesFile``.
  public var filePath = ""
  /// `candidate_config_file_path`: where a new file is written and checked before it replaces the old one.
  public var candidatePath = ""
  /// How a new file is checked.
  public var check: FileCheck = .installedHAProxy
  /// `do_socket` and `socket_file_path`: the stats sockets; empty: none is used, so every change is a reload.
  public var sockets: [String] = []
  /// `do_reloads`, and `master_socket` or `reload_command`; nil: HAProxy is never reloaded.
  public var reload: ReloadMethod?
  /// `reload_timeout`: how long a reload may take before it has failed.
  public var reloadTimeout: Duration = .seconds(120)
  /// `fold_interval`: how long servers that were added at run time wait for a reload that makes them the file's own, and
  /// up to half of that more; zero: until a reload comes for another reason.
  public var foldInterval: Duration = .seconds(3600)
  /// `audit_interval`: how often what runs is compared with what is wanted, although nothing has changed.
  public var auditInterval: Duration = .seconds(60)
  /// `server-state-file` of `global`: where the servers' state is written before a reload.
  public var serverStatePath: String?
  /// `restart_interval`: the least time between two reloads.
  public var reloadInterval: Duration = .seconds(2)
  /// `restart_jitter`: up to this share of the interval is added to it.
  public var reloadJitter: Double = 0
  /// `max_old_workers` and `max_old_worker_age`: what may stay of processes that a reload has replaced.
  public var workerLimits = WorkerLimits()
  /// `state_file_path`; nil: nothing is remembered across restarts.
  public var stateFilePath: String?

  /// As the original has it by default, without the keys it requires.
  public init() {}
}

/// How a candidate file is checked before it becomes HAProxy's.
public enum FileCheck: Hashable, Sendable {
  /// `do_checks: false`.
  case none
  /// `do_checks` is not set: `haproxy -c` where HAProxy is installed, else nothing.
  case installedHAProxy
  /// `do_checks: true`: this command, run by the shell.
  case command(String)
}

/// The `file_output` section.
public struct FileOutputConfiguration: Hashable, Sendable {
  /// Where one JSON file per service is kept.
  public var directory: String

  /// A directory.
  public init(directory: String) { self.directory = directory }
}

/// The `exec_output` section.
public struct ExecOutputConfiguration: Hashable, Sendable {
  /// The program and its arguments; a command given as one text is the shell's.
  public var command: [String]
  /// How long one run may take, in which it is to take in everything it is told.
  public var deadline: Duration = .seconds(30)
  /// From the start of one run to the start of the next: changes in between are told together.
  public var interval: Duration = .seconds(1)

  /// A command, at least one word.
  public init(command: [String]) { self.command = command }
}

/// The `statsd` section.
public struct StatsDConfiguration: Hashable, Sendable {
  /// Default `localhost`.
  public var host: String
  /// Default 8125.
  public var port: Int
  /// By metric name; 1 where none is given.
  public var sampleRates: [String: Double]

  /// A receiver.
  public init(host: String = "localhost", port: Int = 8125, sampleRates: [String: Double] = [:]) {
    self.host = host
    self.port = port
    self.sampleRates = sampleRates
  }
}

/// One service.
public struct ServiceConfiguration: Hashable, Sendable {
  /// Its key under `services`.
  public var name: String
  /// Where its servers are found.
  public var discovery: DiscoveryConfiguration
  /// What becomes of the servers found; the filters are those of the discovery.
  public var rules = BackendPolicy.Rules()
  /// Its `haproxy` section.
  public var haproxy: ServiceSettings
  /// Whether it gets a file of its own in `file_output`.
  public var writesFile = true
  /// Whether the command of `exec_output` is told of it.
  public var isTold = true

  /// A service with the original's defaults.
  public init(name: String, discovery: DiscoveryConfiguration) {
    self.name = name
    self.discovery = discovery
    haproxy = ServiceSettings(service: name)
  }
}
