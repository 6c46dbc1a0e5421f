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
    let options = ConfigureNerveOptions(inputs: inputs, outputs: outputs, pollInterval: .seconds(pollInterval))
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
