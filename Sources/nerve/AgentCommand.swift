internal import AgentKit
internal import ArgumentParser
internal import Glibc
internal import Logging
internal import NerveAgent
internal import Reactor
internal import SmartStack

/// `nerve -c nerve.conf.json`: the agent.
struct AgentCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "nerve", abstract: "Check the services of this host and register the healthy ones.",
    discussion: """
      SIGHUP reloads the configuration; SIGTERM takes every registration back and ends. Called as hacheck, haup, \
      hadown, hastatus, halist, hashowdowned, configure_nerve, updown_service or clean_nerve, or with that word \
      first, it is that program. \
      `nerve status` and `nerve validate` tell about a running agent and about configurations; SIGUSR2 replaces the \
      running program by the installed one.
      """,
    version: "nerve \(Release.version)")

  @Option(name: .shortAndLong, help: ArgumentHelp("The configuration file; or NERVE_CONFIG.", valueName: "file"))
  var config: String?
  @Option(
    name: [.customShort("i"), .customLong("instance_id"), .customLong("instance-id")],
    help: ArgumentHelp("Register under this name, not the file's; or NERVE_INSTANCE_ID.", valueName: "name"))
  var instanceID: String?
  @Flag(name: [.customShort("k"), .long], help: "Only check the configuration; or NERVE_CHECK_CONFIG.")
  var checkConfig = false
  @Option(help: ArgumentHelp("Log as text or json.", valueName: "format")) var logFormat = "text"
  @Option(help: ArgumentHelp("The lowest level logged: debug, info, notice, warning, error.", valueName: "level"))
  var logLevel = "info"

  mutating func validate() throws {
    config = config ?? environment("NERVE_CONFIG")
    instanceID = instanceID ?? environment("NERVE_INSTANCE_ID")
    checkConfig = checkConfig || environment("NERVE_CHECK_CONFIG") != nil
    if LogFormat(rawValue: logFormat) == nil { throw ValidationError("--log-format takes text or json.") }
    if Logger.Level(rawValue: logLevel) == nil { throw ValidationError("--log-level: no level '\(logLevel)'.") }
    if config == nil { throw ValidationError("Which configuration? Give -c FILE, or set NERVE_CONFIG.") }
  }

  func run() async throws {
    let options = AgentOptions(configuration: config ?? "", instanceID: instanceID)
    if checkConfig { return try check(options) }
    AgentLog.bootstrap(
      agent: "nerve", format: LogFormat(rawValue: logFormat) ?? .text, level: Logger.Level(rawValue: logLevel) ?? .info)
    try await Agent(options: options, logger: Logger(label: "nerve")).run()
  }

  private func check(_ options: AgentOptions) throws {
    let (problems, warnings) = Agent.check(options)
    for warning in warnings { StandardOutput.write("warning: \(warning)\n", to: STDERR_FILENO) }
    for problem in problems { StandardOutput.write("\(problem)\n", to: STDERR_FILENO) }
    if !problems.isEmpty { throw ExitCode(1) }
    print("\(options.configuration) is valid")
  }
}

func environment(_ name: String) -> String? {
  getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
}
