internal import AgentKit
public import ArgumentParser
internal import Glibc
public import NerveAgent
internal import Reactor
internal import SmartStack

/// `nerve status`: the services of the running agent.
struct NerveStatus: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "nerve status", abstract: "Show the services of the running nerve, those that are not up first.",
    discussion: """
      Exit status: 0 every service is registered, 1 one is not or is skipped, or the configuration is rejected, 2 no \
      nerve answers, or it has no such service. With services: 0 all of these are registered.
      """,
    version: "nerve \(Release.version)")

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp(
      "The agent's configuration, for its state_dir; or NERVE_CONFIG. (default: /etc/nerve/nerve.conf.json)",
      valueName: "file"))
  private var config: String?
  @Option(
    name: [.customShort("i"), .customLong("instance_id"), .customLong("instance-id")],
    help: ArgumentHelp(
      "Which of several agents to ask; or NERVE_INSTANCE_ID. (default: the only one)", valueName: "name"))
  private var instanceID: String?
  @OptionGroup private var view: StatusView

  /// Requests the report, prints it, and exits.
  @LoopActor func run() async throws {
    try await view.run(of: "nerve", lines: NerveStatus.lines) {
      try await StatusServer.report(
        of: "nerve", configuration: config ?? ProcessEnvironment["NERVE_CONFIG"] ?? "/etc/nerve/nerve.conf.json",
        instance: instanceID ?? ProcessEnvironment["NERVE_INSTANCE_ID"])
    }
  }
}

/// `nerve validate`: the problems of configurations.
public struct NerveValidate: AsyncParsableCommand {
  /// Name and help of the command.
  public static let configuration = CommandConfiguration(
    commandName: "nerve validate", abstract: "Check configurations without running them.",
    discussion: """
      Exit status: 0 nerve would run all services, 1 it would skip one or reject the file. With --reload: 0 it would \
      apply the file, 1 it would reject it.
      """,
    version: "nerve \(Release.version)")

  @Argument(help: "Configuration files.") private var files: [String]
  @Flag(
    help: "Say only whether the running nerve would apply the file, whatever services it would skip.")
  private var reload = false

  /// Creates the command with its defaults.
  public init() {}

  /// Checks every file, prints the problems, and exits.
  public func run() async throws {
    if reload { return try await checkReload() }
    let options = files.map { AgentOptions(configuration: $0, instanceID: ProcessEnvironment["NERVE_INSTANCE_ID"]) }
    // All of them: no early end at the first bad one.
    if options.map(NerveValidate.isGood).contains(false) { throw ExitCode(1) }
  }

  private func checkReload() async throws {
    for file in files {
      let running = try? await StatusServer.report(of: "nerve", configuration: file)
      do {
        let options = AgentOptions(configuration: file, instanceID: ProcessEnvironment["NERVE_INSTANCE_ID"])
        try Agent.checkReload(options, instance: running?["instance"]?.string)
      } catch {
        StandardOutput.say("nerve: \(error); the configuration stays as it is\n")
        throw ExitCode(1)
      }
    }
  }

  /// Prints the problems of one configuration.
  /// - Returns: whether nerve would run all of it.
  public static func isGood(_ options: AgentOptions) -> Bool {
    let (problems, warnings) = Agent.check(options)
    for warning in warnings { StandardOutput.say("warning: \(warning)\n") }
    for problem in problems { StandardOutput.say("\(problem)\n") }
    if problems.isEmpty { StandardOutput.show("\(options.configuration) is valid\n") }
    return problems.isEmpty
  }
}
