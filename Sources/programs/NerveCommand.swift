internal import AgentKit
internal import ArgumentParser
internal import NerveAgent
internal import OperatorTools
internal import SmartStack

/// `nerve -c nerve.conf.json`: the agent.
struct NerveCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "nerve", abstract: "Check the services of this host and register the healthy ones.",
    discussion: """
      SIGHUP reloads the configuration; SIGTERM removes every registration and exits; SIGUSR2 replaces the running \
      program by the installed one, in place. Called by the name of one of its commands, or with that name as the first \
      word, it is that program.
      """,
    version: "nerve \(Release.version)")

  @Option(name: .shortAndLong, help: ArgumentHelp("The configuration file; or NERVE_CONFIG.", valueName: "file"))
  var config: String?
  @Option(
    name: [.customShort("i"), .customLong("instance_id"), .customLong("instance-id")],
    help: ArgumentHelp(
      "The name to register under; or NERVE_INSTANCE_ID. (default: instance_id of the file)", valueName: "name"))
  var instanceID: String?
  @Flag(
    name: [.customShort("k"), .long],
    help: "Check the configuration and exit; or NERVE_CHECK_CONFIG, set to anything.")
  var checkConfig = false
  @OptionGroup var log: LogOptions

  mutating func validate() throws {
    config = config ?? ProcessEnvironment["NERVE_CONFIG"]
    instanceID = instanceID ?? ProcessEnvironment["NERVE_INSTANCE_ID"]
    checkConfig = checkConfig || ProcessEnvironment["NERVE_CHECK_CONFIG"] != nil
    if config == nil { throw ValidationError("No configuration: give -c FILE, or set NERVE_CONFIG.") }
  }

  func run() async throws {
    let options = AgentOptions(configuration: config ?? "", instanceID: instanceID)
    if checkConfig {
      if !NerveValidate.isGood(options) { throw ExitCode(1) }
    } else {
      try await Agent(options: options, logger: log.startLog(of: "nerve")).run()
    }
  }
}
