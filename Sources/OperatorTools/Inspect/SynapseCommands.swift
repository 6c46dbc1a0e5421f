internal import AgentKit
public import ArgumentParser
internal import Reactor
internal import SynapseAgent

/// `-c FILE`, as the agent has it.
public struct SynapseConfigurationOption: ParsableArguments {
  @Option(
    name: .shortAndLong, help: ArgumentHelp("The agent's configuration; or SYNAPSE_CONFIG.", valueName: "file"))
  private var config: String?

  /// Creates the option without a value.
  public init() {}

  /// The file; empty only before validation.
  public var path: String { config ?? ProcessEnvironment["SYNAPSE_CONFIG"] ?? "" }

  /// Refuses a command line without a configuration.
  public mutating func validate() throws {
    if path.isEmpty { throw ValidationError("No configuration: give -c FILE, or set SYNAPSE_CONFIG.") }
  }
}

/// `synapse status`: the report of the running agent.
struct SynapseStatus: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "synapse status",
    abstract: "Show the running synapse's services and their servers as HAProxy sees them, those without one first.",
    discussion: """
      Exit status: 0 everything is as it should be, 1 something is skipped, without data or not in sync, a reload \
      failed, or the configuration is rejected, 2 no synapse answers, or it has no such service. With services: 0 each of these has a server.
      """,
    version: SynapseProgram.version)

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp(
      "The agent's configuration, for its state_dir; or SYNAPSE_CONFIG. (default: /etc/synapse/synapse.conf.json)",
      valueName: "file"))
  private var config: String?
  @OptionGroup private var view: StatusView

  @LoopActor func run() async throws {
    try await view.run(of: "synapse", lines: SynapseStatus.lines) {
      try await StatusServer.report(
        of: "synapse", configuration: config ?? ProcessEnvironment["SYNAPSE_CONFIG"] ?? "/etc/synapse/synapse.conf.json"
      )
    }
  }
}

/// `synapse validate`: the problems of configurations.
struct SynapseValidate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "synapse validate", abstract: "Check configurations, and with HAProxy the file made from each.",
    discussion: """
      Exit status: 0 synapse would write everything, 1 it would skip something or reject the file. With --reload: 0 it would \
      apply the file, 1 it would reject it.
      """,
    version: SynapseProgram.version)

  @Argument(help: "Configuration files.") private var files: [String]

  @Flag(help: "Say only whether synapse would apply the file, whatever services it would skip.")
  private var reload = false

  func run() async throws {
    throw ExitCode(reload ? await SynapseInspection.checkReload(files) : await SynapseInspection.validate(files))
  }
}

/// `synapse render`: HAProxy's file.
struct SynapseRender: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "synapse render", abstract: "Print HAProxy's file as the agent would write it now; change nothing.",
    discussion: "Exit status with --diff, as diff has it: 0 HAProxy's file is the same, 1 it is not.",
    version: SynapseProgram.version)

  @OptionGroup private var options: SynapseConfigurationOption
  @Option(
    help: ArgumentHelp(
      "A JSON file, service → list of servers, in place of the registry. (default: the registry)", valueName: "file"))
  private var snapshot: String?
  @Flag(help: "Print only the differences from the file that HAProxy has.") private var diff = false

  func run() async throws {
    throw ExitCode(await SynapseInspection.render(options.path, snapshot: snapshot, isDifference: diff))
  }
}
