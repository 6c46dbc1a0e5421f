internal import AgentKit
internal import ArgumentParser
internal import Configure
internal import Glibc
internal import Reactor
internal import SmartStack

/// `configure_nerve`: writes nerve's configuration.
struct ConfigureCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "configure_nerve",
    abstract: "Write nerve.conf.json for what runs on this host, and make nerve take it.",
    discussion: """
      Exit status: 0 all is well; 1 nothing was changed; 3 written, but something was left out. With --diff and \
      --dry-run: 0 nothing would change, 1 something would, 2 it cannot be said. Usage errors exit with 2.
      """,
    version: "configure_nerve \(Release.version)")

  @OptionGroup(title: "What is read") var inputs: ConfigureInputs
  @OptionGroup(title: "What is written, and nerve") var outputs: ConfigureOutputs

  @Flag(help: "Print the list of local services as JSON, and nothing else.") var dumpLocalServices = false
  @Flag(help: "Print what would change in the file, line by line; change nothing.") var diff = false
  @Flag(help: "Say what would be done; change nothing.") var dryRun = false

  @Flag(help: "Stay, and act when a file, the tasks of Mesos or a program's list change.") var watch = false
  @Flag(help: "With --watch: touch the file once a minute while all is well, for monitoring that goes by its age.")
  var touch = false
  @Option(help: ArgumentHelp("With --watch: between two questions to Mesos and to programs.", valueName: "s"))
  var pollInterval = 1.0

  mutating func validate() throws {
    if [dumpLocalServices, diff, dryRun, watch].count(where: { $0 }) > 1 {
      throw ValidationError("Give one of --dump-local-services, --diff, --dry-run and --watch.")
    }
    guard (0.05...86_400).contains(pollInterval) else {
      throw ValidationError("--poll-interval takes seconds, at least 0.05.")
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

/// The inputs of configure_nerve.
struct ConfigureInputs: ParsableArguments {
  @Option(
    name: .customLong("services-source"), parsing: .singleValue,
    help: ArgumentHelp(
      "Where local services are listed: mesos, mesos:URL, static:DIR, command:PROGRAM ARG…, file:PATH. Repeatable; by "
        + "default mesos and static:/etc/nerve/puppet_services.d.", valueName: "source"),
    transform: ServicesSource.parse)
  var sources: [ServicesSource] = []
  @Option(help: ArgumentHelp("soa-configs.", valueName: "dir")) var soaDir = "/nail/etc/services"
  @Option(help: ArgumentHelp("One file per type of location.", valueName: "dir")) var locationDir = "/nail/etc"
  @Option(help: ArgumentHelp("PaaSTA's own configuration.", valueName: "dir")) var paastaDir = "/etc/paasta"
  @Option(help: ArgumentHelp("Holds CLUSTER_TYPE/LOCATION.yaml.", valueName: "dir"))
  var zkTopologyDir = "/nail/etc/zookeeper_discovery"
  @Option(help: "The type of location that has ZooKeepers of its own.") var zkLocationType = "superregion"
  @Option(help: "Which kind of ZooKeeper ensemble.") var zkClusterType = "infrastructure"
  @Option(help: ArgumentHelp("Labels of single services.", valueName: "dir")) var labelsDir = "/etc/nerve/labels.d"
  @Option(
    help: ArgumentHelp("The address registered; by default the one this host's name stands for.", valueName: "ip"))
  var hostAddress: String?
  @Option(help: ArgumentHelp("Envoy's admin port.", valueName: "port")) var envoyAdminPort = 9901
  @Option(help: ArgumentHelp("hacheck's port.", valueName: "port")) var hacheckPort = 6666
  @Option(help: ArgumentHelp("Of static services without one of their own; by default 10.", valueName: "n"))
  var weight: Int?

  mutating func validate() throws {
    for (name, port) in [("--envoy-admin-port", envoyAdminPort), ("--hacheck-port", hacheckPort)] {
      guard (1...65_535).contains(port) else { throw ValidationError("\(name) takes a port, not \(port).") }
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

/// What configure_nerve writes, and how it tells nerve.
struct ConfigureOutputs: ParsableArguments {
  @Option(help: ArgumentHelp("The file that is written.", valueName: "file"))
  var nerveConfigPath = "/etc/nerve/nerve.conf.json"
  @Option(name: [.customShort("f"), .long], help: ArgumentHelp("nerve touches it.", valueName: "file"))
  var heartbeatPath = "/var/run/nerve/heartbeat"
  @Option(
    name: [.customShort("s"), .long], help: ArgumentHelp("Untouched this long, nerve is restarted.", valueName: "s"))
  var heartbeatThreshold = 60
  @Flag(help: "SIGHUP to the process of --nerve-pid-path.") var reloadWithSighup = false
  @Option(
    help: ArgumentHelp(
      "How nerve takes a change: auto (SIGHUP to the nerve that runs, else restart), sighup, restart, none.",
      valueName: "how"), transform: ConfigureNerveOptions.Reload.parse)
  var reload: ConfigureNerveOptions.Reload?
  @Option(help: ArgumentHelp("Read with --reload-with-sighup.", valueName: "file")) var nervePidPath =
    "/var/run/nerve.pid"
  @Option(help: ArgumentHelp("Where the nerve that runs keeps its lock.", valueName: "dir"))
  var nerveStateDir = "/run/nerve"
  @Option(help: ArgumentHelp("Checks the candidate with -c FILE -k; by default it is checked here.", valueName: "file"))
  var nerveExecutablePath: String?
  @Option(help: ArgumentHelp(#"A JSON list; by default ["service", "nerve"]."#, valueName: "json"))
  var nerveCommand = CommandWords(words: ["service", "nerve"])
  @Option(help: ArgumentHelp(#"A JSON list; by default ["service", "nerve-backup"]."#, valueName: "json"))
  var nerveBackupCommand = CommandWords(words: ["service", "nerve-backup"])
  @Option(help: ArgumentHelp("How long a started nerve gets to register.", valueName: "s"))
  var nerveRegistrationDelayS = 30
  @Option(help: ArgumentHelp("Figures for node_exporter's textfile collector.", valueName: "file"))
  var metricsFile: String?

  mutating func validate() throws {
    guard heartbeatThreshold >= 0, (0...86_400).contains(nerveRegistrationDelayS) else {
      throw ValidationError("Seconds are not negative, and a registration takes less than a day.")
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
    throw ValidationError("'\(text)' is none of mesos, mesos:URL, static:DIR, command:PROGRAM ARG…, file:PATH.")
  }
}

extension ConfigureNerveOptions.Reload {
  static func parse(_ text: String) throws -> ConfigureNerveOptions.Reload {
    if let reload = ConfigureNerveOptions.Reload(rawValue: text) { return reload }
    throw ValidationError("'\(text)' is none of \(allCases.map(\.rawValue).joined(separator: ", ")).")
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
}
