internal import ArgumentParser
internal import Configure
internal import Glibc
internal import SynapseAgent

/// `configure_synapse`; upstream's takes no arguments.
struct ConfigureSynapseCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "configure_synapse",
    abstract: "Write synapse.conf.json from the services' smartstack.yaml files, and have synapse reload it.",
    discussion: """
      Reads SYNAPSE_TOOLS_CONFIG_PATH (/etc/synapse/synapse-tools.conf.json), SOA_DIR (/nail/etc/services) and \
      ENVOY_MIGRATION_CONFIG_PATH. Exit status: 0 all services are written; 1 nothing was changed, or synapse could \
      not be notified; 3 written, but services were skipped. With --diff and --dry-run: 0 nothing would change, 1 \
      something would, 2 unknown. Usage errors exit with 2.
      """,
    version: SynapseProgram.version)

  @Flag(help: "Print which parts of the file would change; change nothing.") var dryRun = false
  @Flag(help: "Print the lines of the file that would change; change nothing.") var diff = false
  @Flag(help: "Keep running: repeat whenever a file that was read changes.") var watch = false
  @Option(
    help: ArgumentHelp(
      "With --watch: refresh the file's timestamp at least this often, even when nothing changes.", valueName: "seconds"
    ))
  var touch = 60
  @Option(
    help: ArgumentHelp("File of metrics for node_exporter's textfile collector. (default: none)", valueName: "file"))
  var metricsFile: String?
  @Option(
    help: ArgumentHelp(
      "How synapse is notified of a change: auto (synapse_command or synapse_restart_command if set, SIGHUP to the running "
        + "synapse, else restart), restart, none.", valueName: "how"), transform: reloadMode)
  var reload = ConfigureSynapseOptions.Reload.auto
  @Option(
    help: ArgumentHelp(
      "Directory with one file for each type of location, and services/location_types.json.", valueName: "dir"))
  var locationDir = "/nail/etc"
  @Option(help: ArgumentHelp("State directory of the running synapse, with its lock.", valueName: "dir"))
  var synapseStateDir = "/run/synapse"

  mutating func validate() throws {
    if dryRun, diff { throw ValidationError("Give one of --diff and --dry-run.") }
    if watch, dryRun || diff { throw ValidationError("--watch writes; --dry-run and --diff do not.") }
    if !(1...86_400).contains(touch) { throw ValidationError("--touch: expected 1 to 86400 seconds, not \(touch).") }
  }

  mutating func run() async throws {
    var options = ConfigureSynapseOptions()
    if dryRun { options.mode = .dryRun }
    if diff { options.mode = .diff(inColor: isatty(STDOUT_FILENO) == 1 && getenv("NO_COLOR") == nil) }
    options.metricsFile = metricsFile
    options.reload = reload
    options.stateDirectory = synapseStateDir
    options.locationDirectory = locationDir
    options.refreshInterval = touch
    let configurator = await SynapseConfigurator(options: options, remembers: watch)
    if watch { return await configurator.watch() }
    let (status, _) = await configurator.run()
    if status != 0 { throw ExitCode(status) }
  }
}

@Sendable private func reloadMode(_ text: String) throws -> ConfigureSynapseOptions.Reload {
  if let reload = ConfigureSynapseOptions.Reload(rawValue: text) { return reload }
  let words = ConfigureSynapseOptions.Reload.allCases.map(\.rawValue).joined(separator: ", ")
  throw ValidationError("'\(text)' is not one of \(words).")
}
