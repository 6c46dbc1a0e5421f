internal import AgentKit
internal import ArgumentParser
internal import Configure
internal import Glibc
internal import Reactor
internal import SmartStack

/// `configure_nerve`: writes nerve's configuration.
struct ConfigureNerveCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "configure_nerve",
    abstract: "Write nerve.conf.json for the tasks on this host, and have nerve reload it.",
    discussion: """
      Exit status: 0 all services are written; 1 nothing was changed; 3 written, but services were skipped. With --diff \
      and --dry-run: 0 nothing would change, 1 something would, 2 unknown. Usage errors exit with 2.
      """,
    version: "configure_nerve \(Release.version)")

  @OptionGroup(title: "Input") var inputs: ConfigureNerveInputs
  @OptionGroup(title: "Output") var outputs: ConfigureNerveOutputs

  @Flag(help: "Print the list of local services as JSON, and nothing else.") var dumpLocalServices = false
  @Flag(help: "Print the lines of the file that would change; change nothing.") var diff = false
  @Flag(help: "Print what would be done; change nothing.") var dryRun = false

  @Flag(help: "Keep running: repeat when a file, the tasks of Mesos or a program's list change.") var watch = false
  @Flag(help: "With --watch: refresh the file's timestamp every minute while all is well, even when nothing changes.")
  var touch = false
  @Option(help: ArgumentHelp("With --watch: seconds between two queries of Mesos and of programs.", valueName: "s"))
  var pollInterval = 1.0

  mutating func validate() throws {
    if [dumpLocalServices, diff, dryRun, watch].count(where: { $0 }) > 1 {
      throw ValidationError("Give one of --dump-local-services, --diff, --dry-run and --watch.")
    }
    guard (0.05...86_400).contains(pollInterval) else {
      throw ValidationError("--poll-interval: expected seconds, at least 0.05.")
    }
  }

  /// Ends with the run's exit status.
  func run() async throws { throw ExitCode(await start()) }

  @LoopActor private func start() async -> Int32 {
    var options = ConfigureNerveOptions()
    inputs.fill(&options)
    outputs.fill(&options)
    options.pollInterval = .seconds(pollInterval)
    if watch { return await stay(options) }
    let configurator = NerveConfigurator(options: options)
    let outcome = await dumpLocalServices ? configurator.dumpLocalServices() : configurator.run(mode)
    for problem in outcome.problems { StandardOutput.say("configure_nerve: \(problem)\n") }
    StandardOutput.show(outcome.output)
    return outcome.status
  }

  /// Runs until SIGTERM; SIGHUP looks at everything afresh.
  @LoopActor private func stay(_ options: ConfigureNerveOptions) async -> Int32 {
    var options = options
    options.touchesUnchanged = touch
    let watch = ConfigureWatch(configurator: NerveConfigurator(options: options, remembers: true)) { line in
      StandardOutput.say("configure_nerve: \(line)\n")
    }
    let process = AgentProcess(onReload: { watch.lookAgain() }, onStop: { watch.stop() })
    process.ready()
    await watch.run()
    return 0
  }

  private var mode: ConfigureMode {
    if dryRun { return .dryRun }
    return diff ? .diff(inColor: isatty(STDOUT_FILENO) == 1 && getenv("NO_COLOR") == nil) : .write
  }
}

/// Options of what configure_nerve reads.
struct ConfigureNerveInputs: ParsableArguments {
  @Option(
    name: .customLong("services-source"), parsing: .singleValue,
    help: ArgumentHelp(
      "Source of local services: mesos, mesos:URL, static:DIR, command:PROGRAM ARG…, file:PATH. Repeatable. (default: "
        + "mesos and static:/etc/nerve/puppet_services.d)", valueName: "source"),
    transform: ServicesSource.parse)
  var sources: [ServicesSource] = []
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

  mutating func validate() throws {
    for (name, port) in [("--envoy-admin-port", envoyAdminPort), ("--hacheck-port", hacheckPort)] {
      guard (1...65_535).contains(port) else { throw ValidationError("\(name): \(port) is not a port.") }
    }
  }

  func fill(_ options: inout ConfigureNerveOptions) {
    if !sources.isEmpty { options.sources = sources }
    options.servicesDirectory = soaDir
    options.locationsDirectory = locationDir
    options.paastaDirectory = paastaDir
    options.topologyDirectory = zkTopologyDir
    options.zooKeeperLocationType = zkLocationType
    options.clusterType = zkClusterType
    options.labelsDirectory = labelsDir
    options.hostAddress = hostAddress
    options.envoyAdminPort = envoyAdminPort
    options.hacheckPort = hacheckPort
    options.weight = weight
  }
}

/// Options of what configure_nerve writes, and how it notifies nerve.
struct ConfigureNerveOutputs: ParsableArguments {
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
  @Flag(help: "Send SIGHUP to the process of --nerve-pid-path; as --reload sighup.") var reloadWithSighup = false
  @Option(
    help: ArgumentHelp(
      "How nerve is notified of a change: auto (SIGHUP to the running nerve, else restart), sighup, restart, none. (default: auto)",
      valueName: "how"), transform: ConfigureNerveOptions.Reload.parse)
  var reload: ConfigureNerveOptions.Reload?
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

  mutating func validate() throws {
    guard heartbeatThreshold >= 0, (0...86_400).contains(nerveRegistrationDelayS) else {
      throw ValidationError("--heartbeat-threshold and --nerve-registration-delay-s: expected seconds, at most a day.")
    }
  }

  func fill(_ options: inout ConfigureNerveOptions) {
    options.configuration = nerveConfigPath
    options.heartbeatPath = heartbeatPath
    options.heartbeatThreshold = heartbeatThreshold
    options.reload = reload ?? (reloadWithSighup ? .sighup : .auto)
    options.pidPath = nervePidPath
    options.stateDirectory = nerveStateDir
    options.nerveExecutable = nerveExecutablePath
    options.nerveCommand = nerveCommand.words
    options.backupCommand = nerveBackupCommand.words
    options.registrationDelay = nerveRegistrationDelayS
    options.metricsFile = metricsFile
  }
}

extension ServicesSource {
  static func parse(_ text: String) throws -> ServicesSource {
    if let source = ServicesSource(text) { return source }
    throw ValidationError("'\(text)' is not one of mesos, mesos:URL, static:DIR, command:PROGRAM ARG…, file:PATH.")
  }
}

extension ConfigureNerveOptions.Reload {
  static func parse(_ text: String) throws -> ConfigureNerveOptions.Reload {
    if let reload = ConfigureNerveOptions.Reload(rawValue: text) { return reload }
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
