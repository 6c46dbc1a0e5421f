internal import ArgumentParser
internal import Glibc
internal import SynapseAgent

/// `configure_synapse`; the original takes no arguments at all.
struct ConfigureCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "configure_synapse",
    abstract: "Write synapse's configuration from the services' smartstack.yaml files, and tell synapse.",
    discussion: """
      Reads SYNAPSE_TOOLS_CONFIG_PATH (/etc/synapse/synapse-tools.conf.json), SOA_DIR (/nail/etc/services) and \
      ENVOY_MIGRATION_CONFIG_PATH. Status: 0; 1 when nothing is written or a service is not as its files say; \
      2 for wrong usage; 3 when --dry-run or --diff found changes.
      """)

  @Flag(help: "Write nothing; say which parts of the file would change.") var dryRun = false
  @Flag(help: "Write nothing; show the lines that would change.") var diff = false
  @Flag(help: "Stay, and run whenever a file that was read changes.") var watch = false
  @Option(help: ArgumentHelp("With --watch: the file's greatest age while nothing changes.", valueName: "seconds"))
  var touch = 60
  @Option(help: ArgumentHelp("Metrics for node_exporter's textfile collector.", valueName: "path"))
  var metricsFile: String?

  mutating func validate() throws {
    if watch, dryRun || diff { throw ValidationError("--watch writes; --dry-run and --diff do not.") }
    if !(1...86_400).contains(touch) { throw ValidationError("--touch takes 1 to 86400 seconds, not \(touch).") }
  }

  mutating func run() async throws {
    var options = ConfigureOptions()
    options.isDryRun = dryRun || diff
    options.showsLines = diff
    options.isColoured = isatty(STDOUT_FILENO) == 1
    options.metricsFile = metricsFile
    options.refreshInterval = touch
    let status = watch ? await ConfigureSynapse.watch(options) : await ConfigureSynapse.run(options)
    if status != 0 { throw ExitCode(status) }
  }
}
