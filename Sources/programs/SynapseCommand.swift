internal import ArgumentParser
internal import OperatorTools
internal import SynapseAgent

/// `synapse -c synapse.conf.json`: the agent.
struct SynapseCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "synapse", abstract: "Keep this host's HAProxy in sync with the service registry.",
    discussion: """
      SIGHUP reloads the configuration; SIGTERM exits, and HAProxy runs on; SIGUSR2 replaces the running program by the \
      installed one, in place. Called by the name of one of its commands, or with that name as the first word, it is \
      that program.
      """,
    version: SynapseProgram.version)

  @OptionGroup var options: SynapseConfigurationOption
  @Flag(name: [.customShort("k"), .long], help: "Check the configuration and exit.") var checkConfig = false
  @OptionGroup var log: LogOptions

  func run() async throws {
    if checkConfig { throw ExitCode(await SynapseInspection.check(options.path)) }
    throw ExitCode(await SynapseProgram.run(options.path, logger: log.startLog(of: "synapse")))
  }
}
