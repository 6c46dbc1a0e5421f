public import ArgumentParser
internal import SmartStack

/// The settings of configure_nerve; the defaults are upstream's.
public struct ConfigureNerveOptions: Sendable {
  var inputs: ConfigureNerveInputs
  var outputs: ConfigureNerveOutputs
  /// Between two questions to what tells nothing by itself: Mesos, programs.
  var pollInterval = Duration.seconds(1)
  /// How long a nerve that is just being started gets to take its lock, before it is restarted.
  var startPatience = Duration.seconds(5)
  /// Whether a file that stays the same gets the time of the run: monitoring goes by its age.
  public var touchesUnchanged = true

  /// Creates the settings of one run.
  /// - Parameter pollInterval: the time between two questions to what tells nothing by itself.
  public init(inputs: ConfigureNerveInputs, outputs: ConfigureNerveOutputs, pollInterval: Duration = .seconds(1)) {
    (self.inputs, self.outputs, self.pollInterval) = (inputs, outputs, pollInterval)
  }
}

/// Options of what configure_nerve reads.
public struct ConfigureNerveInputs: ParsableArguments, Sendable {
  @Option(
    name: .customLong("services-source"), parsing: .singleValue,
    help: ArgumentHelp(
      "Source of local services: mesos, mesos:URL, static:DIR, command:PROGRAM ARG…, file:PATH. Repeatable. (default: "
        + "mesos and static:/etc/nerve/puppet_services.d)", valueName: "source"),
    transform: ServicesSource.parse)
  private var given: [ServicesSource] = []
  @Option(help: ArgumentHelp("Directory of soa-configs.", valueName: "dir")) var soaDir = "/nail/etc/services"
  @Option(help: ArgumentHelp("Directory with one file for each type of location.", valueName: "dir")) var locationDir =
    "/nail/etc"
  @Option(help: ArgumentHelp("Directory of PaaSTA's own configuration.", valueName: "dir")) var paastaDir =
    "/etc/paasta"
  @Option(help: ArgumentHelp("Directory of the ZooKeeper servers: CLUSTER_TYPE/LOCATION.yaml.", valueName: "dir"))
  var zkTopologyDir = "/nail/etc/zookeeper_discovery"
  @Option(help: "Type of location that has a ZooKeeper ensemble of its own.") var zkLocationType = "superregion"
  @Option(help: "Kind of ZooKeeper ensemble.") var zkClusterType = "infrastructure"
  @Option(help: ArgumentHelp("Directory of labels of single services.", valueName: "dir")) var labelsDir =
    "/etc/nerve/labels.d"
  @Option(
    help: ArgumentHelp("Address to register. (default: the address of this host's name)", valueName: "ip"))
  var hostAddress: String?
  @Option(help: ArgumentHelp("Envoy's admin port.", valueName: "port")) var envoyAdminPort = 9901
  @Option(help: ArgumentHelp("hacheck's port.", valueName: "port")) var hacheckPort = 6666
  @Option(help: ArgumentHelp("Weight of static services without a weight of their own. (default: 10)", valueName: "n"))
  var weight: Int?

  /// Creates options without values, as the parser wants them.
  public init() {}

  /// Refuses what is not a port.
  public mutating func validate() throws {
    for (name, port) in [("--envoy-admin-port", envoyAdminPort), ("--hacheck-port", hacheckPort)] {
      guard (1...65_535).contains(port) else { throw ValidationError("\(name): \(port) is not a port.") }
    }
  }

  /// Where local services are listed; upstream queries Mesos and a directory.
  var sources: [ServicesSource] {
    get { given.isEmpty ? ServicesSource.usual : given }
    set { given = newValue }
  }
}

/// Options of what configure_nerve writes, and how it notifies nerve.
public struct ConfigureNerveOutputs: ParsableArguments, Sendable {
  /// How nerve is to take a new configuration.
  enum Reload: String, CaseIterable, Sendable {
    /// SIGHUP to the nerve that runs; where none is found, as `restart`.
    case auto
    /// SIGHUP to the process of the pid file; where that is of no use, as `restart`.
    case sighup
    /// The backup nerve takes over while nerve is stopped and started.
    case restart
    /// The agent is not notified.
    case none
  }

  @Option(help: ArgumentHelp("The file to write.", valueName: "file"))
  var nerveConfigPath = "/etc/nerve/nerve.conf.json"
  @Option(
    name: [.customShort("f"), .long],
    help: ArgumentHelp("The file that nerve touches every 10 seconds.", valueName: "file"))
  var heartbeatPath = "/var/run/nerve/heartbeat"
  @Option(
    name: [.customShort("s"), .long],
    help: ArgumentHelp("Restart nerve if the heartbeat file is older than this many seconds.", valueName: "s"))
  var heartbeatThreshold = 60
  @Flag(help: "Send SIGHUP to the process of --nerve-pid-path; as --reload sighup.") private var reloadWithSighup =
    false
  @Option(
    name: .customLong("reload"),
    help: ArgumentHelp(
      "How nerve is notified of a change: auto (SIGHUP to the running nerve, else restart), sighup, restart, none. (default: auto)",
      valueName: "how"), transform: ConfigureNerveOutputs.Reload.parse)
  private var given: Reload?
  @Option(help: ArgumentHelp("File with nerve's process id, for --reload sighup.", valueName: "file"))
  var nervePidPath =
    "/var/run/nerve.pid"
  @Option(help: ArgumentHelp("State directory of the running nerve, with its lock.", valueName: "dir"))
  var nerveStateDir = "/run/nerve"
  @Option(
    help: ArgumentHelp(
      "A nerve that checks the new file with -c FILE -k. (default: configure_nerve checks it itself)", valueName: "file"
    ))
  var nerveExecutablePath: String?
  @Option(help: ArgumentHelp("Command that restarts nerve, as a JSON list of its words.", valueName: "json"))
  var nerveCommand = CommandWords(words: ["service", "nerve"])
  @Option(
    help: ArgumentHelp(
      "Command of the nerve that serves during a restart, as a JSON list of its words.", valueName: "json"))
  var nerveBackupCommand = CommandWords(words: ["service", "nerve-backup"])
  @Option(help: ArgumentHelp("Seconds that a started nerve gets to register.", valueName: "s"))
  var nerveRegistrationDelayS = 30
  @Option(
    help: ArgumentHelp("File of metrics for node_exporter's textfile collector. (default: none)", valueName: "file"))
  var metricsFile: String?

  /// Creates options without values, as the parser wants them.
  public init() {}

  /// Refuses times that cannot be.
  public mutating func validate() throws {
    guard heartbeatThreshold >= 0, (0...86_400).contains(nerveRegistrationDelayS) else {
      throw ValidationError("--heartbeat-threshold and --nerve-registration-delay-s: expected seconds, at most a day.")
    }
  }

  /// The way in which nerve is notified.
  var reload: Reload {
    get { given ?? (reloadWithSighup ? .sighup : .auto) }
    set { given = newValue }
  }
}

extension ServicesSource {
  fileprivate static func parse(_ text: String) throws -> ServicesSource {
    if let source = ServicesSource(text) { return source }
    throw ValidationError("'\(text)' is not one of mesos, mesos:URL, static:DIR, command:PROGRAM ARG…, file:PATH.")
  }
}

extension ConfigureNerveOutputs.Reload {
  fileprivate static func parse(_ text: String) throws -> ConfigureNerveOutputs.Reload {
    if let reload = ConfigureNerveOutputs.Reload(rawValue: text) { return reload }
    throw ValidationError("'\(text)' is not one of \(allCases.map(\.rawValue).joined(separator: ", ")).")
  }
}

/// A command as a JSON list of its words.
struct CommandWords: ExpressibleByArgument {
  var words: [String]

  init(words: [String]) { self.words = words }

  init?(argument: String) {
    guard let words = JSONValue(argument.utf8)?.strings, !words.isEmpty else { return nil }
    self.words = words
  }

  var defaultValueDescription: String { JSONValue.array(words.map { .string($0) }).text() }
}
