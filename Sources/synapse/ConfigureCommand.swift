internal import ArgumentParser
internal import Configure
internal import Glibc
internal import SynapseAgent

/// `configure_synapse`; the original takes no arguments at all.
struct ConfigureCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "configure_synapse",
    abstract: "Write synapse's configuration from the services' smartstack.yaml files, and tell synapse.",
    discussion: """
      Reads SYNAPSE_TOOLS_CONFIG_PATH (/etc/synapse/synapse-tools.conf.json), SOA_DIR (/nail/etc/services) and \
      ENVOY_MIGRATION_CONFIG_PATH. Exit status: 0 all is well; 1 nothing was changed, or synapse could not be told; 3 \
      written, but something was left out. With --diff and --dry-run: 0 nothing would change, 1 something would, 2 it \
      cannot be said. Usage errors exit with 2.
      """,
    version: SynapseProgram.version)

  @Flag(help: "Write nothing; say which parts of the file would change.") var dryRun = false
  @Flag(help: "Write nothing; show the lines that would change.") var diff = false
  @Flag(help: "Stay, and run whenever a file that was read changes.") var watch = false
  @Option(help: ArgumentHelp("With --watch: the file's greatest age while nothing changes.", valueName: "seconds"))
  var touch = 60
  @Option(help: ArgumentHelp("Figures for node_exporter's textfile collector.", valueName: "file"))
  var metricsFile: String?
  @Option(
    help: ArgumentHelp(
      "How synapse takes a change: auto (synapse_command or synapse_restart_command if set, SIGHUP to the synapse that "
        + "runs, else restart), restart, none.", valueName: "how"), transform: reloadMode)
  var reload = ConfigureSynapseOptions.Reload.auto
  @Option(help: ArgumentHelp("One file per type of location; services/location_types.json.", valueName: "dir"))
  var locationDir = "/nail/etc"
  @Option(help: ArgumentHelp("Where the synapse that runs keeps its lock.", valueName: "dir"))
  var synapseStateDir = "/run/synapse"

  mutating func validate() throws {
    if dryRun, diff { throw ValidationError("Give one of --diff and --dry-run.") }
    if watch, dryRun || diff { throw ValidationError("--watch writes; --dry-run and --diff do not.") }
    if !(1...86_400).contains(touch) { throw ValidationError("--touch takes 1 to 86400 seconds, not \(touch).") }
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
    if watch { return await ConfigureSynapse.watch(options) }
    let status = await ConfigureSynapse.run(options)
    if status != 0 { throw ExitCode(status) }
  }
}

@Sendable private func reloadMode(_ text: String) throws -> ConfigureSynapseOptions.Reload {
  if let reload = ConfigureSynapseOptions.Reload(rawValue: text) { return reload }
  let words = ConfigureSynapseOptions.Reload.allCases.map(\.rawValue).joined(separator: ", ")
  throw ValidationError("'\(text)' is none of \(words).")
}
