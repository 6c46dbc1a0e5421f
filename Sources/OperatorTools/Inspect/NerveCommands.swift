internal import AgentKit
public import ArgumentParser
internal import Glibc
public import NerveAgent
internal import Reactor
internal import SmartStack

/// `nerve status`: the services of the running agent.
struct NerveStatus: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "nerve status", abstract: "Show the services of the running nerve, one by one.",
    discussion: "Exit status: 0 every service is registered, 1 one is not, 2 no nerve answers.",
    version: "nerve \(Release.version)")

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp(
      "The agent's configuration; or NERVE_CONFIG. (default: /etc/nerve/nerve.conf.json)", valueName: "file"))
  private var config: String?
  @Option(
    name: [.customShort("i"), .customLong("instance_id"), .customLong("instance-id")],
    help: ArgumentHelp("The agent's instance; or NERVE_INSTANCE_ID. (default: the configuration's)", valueName: "name"))
  private var instanceID: String?
  @Flag(help: "Print JSON.") private var json = false

  /// Requests the report, prints it, and exits.
  @LoopActor func run() async throws {
    let options = AgentOptions(
      configuration: config ?? ProcessEnvironment["NERVE_CONFIG"] ?? "/etc/nerve/nerve.conf.json",
      instanceID: instanceID ?? ProcessEnvironment["NERVE_INSTANCE_ID"])
    let report: JSONValue
    do { report = try await StatusServer.report(path: Agent.statusSocketPath(options)) } catch {
      StandardOutput.say("nerve status: \(error)\n")
      throw ExitCode(2)
    }
    StandardOutput.show(
      json ? report.text(JSONStyle(indent: 2)) + "\n" : NerveStatus.table(of: report, now: LoopClock.system.unixTime))
    if (report["services"]?.array ?? []).contains(where: { $0["place"] == nil }) { throw ExitCode(1) }
  }
}

/// `nerve validate`: the problems of configurations.
public struct NerveValidate: AsyncParsableCommand {
  /// Name and help of the command.
  public static let configuration = CommandConfiguration(
    commandName: "nerve validate", abstract: "Check configurations without running them.",
    discussion: "Exit status: 0 nerve would run all services, 1 it would skip one or refuse the file.",
    version: "nerve \(Release.version)")

  @Argument(help: "Configuration files.") private var files: [String]

  /// Creates the command with its defaults.
  public init() {}

  /// Checks every file, prints the problems, and exits.
  public func run() async throws {
    let options = files.map { AgentOptions(configuration: $0, instanceID: ProcessEnvironment["NERVE_INSTANCE_ID"]) }
    // All of them: no early end at the first bad one.
    if options.map(NerveValidate.isGood).contains(false) { throw ExitCode(1) }
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
