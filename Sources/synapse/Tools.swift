internal import ArgumentParser
internal import Glibc
internal import OperatorTools

/// `-c FILE`, as the agent has it.
struct ConfigurationOption: ParsableArguments {
  @Option(name: .shortAndLong, help: "The agent's configuration; default: the variable SYNAPSE_CONFIG.")
  var config: String?

  var path: String { config ?? getenv("SYNAPSE_CONFIG").map { String(cString: $0) } ?? "" }

  mutating func validate() throws {
    if path.isEmpty { throw ValidationError("No configuration is named: use -c FILE or the variable SYNAPSE_CONFIG.") }
  }
}

/// The command `synapse status`.
struct Status: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "synapse status",
    abstract: "Ask the running agent for services, servers, where each came from, and the last reloads.")

  @OptionGroup var options: ConfigurationOption
  @Flag(help: "Print the answer as JSON.") var json = false

  mutating func run() async throws { throw ExitCode(await SynapseTools.status(options.path, asJSON: json)) }
}

/// The command `synapse validate`.
struct Validate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "synapse validate",
    abstract: "Say what is wrong with configurations, and what HAProxy would refuse of the file made from each.")

  @Argument(help: "Configuration files.") var files: [String]

  mutating func run() async throws { throw ExitCode(await SynapseTools.validate(files)) }
}

/// The command `synapse render`.
struct Render: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "synapse render", abstract: "Print HAProxy's file as the agent would write it now; change nothing.",
    discussion: "With --diff the exit status is that of diff: 0 if HAProxy's file is as it should be, 1 if not.")

  @OptionGroup var options: ConfigurationOption
  @Option(help: "A JSON file, service → list of servers, in place of the registry.") var snapshot: String?
  @Flag(help: "Print only what differs from the file that HAProxy has.") var diff = false

  mutating func run() async throws {
    throw ExitCode(await SynapseTools.render(options.path, snapshot: snapshot, isDifference: diff))
  }
}
