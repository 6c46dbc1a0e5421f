internal import AgentKit
internal import ArgumentParser
internal import Glibc
internal import NerveAgent
internal import Reactor

/// `nerve status`: what the running agent does.
struct StatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "nerve status", abstract: "Tell what the running nerve does, service by service.",
    discussion: "Exits with 0 when every service is registered, with 1 when one is not, with 2 when no nerve answers.")

  @Option(name: .shortAndLong, help: ArgumentHelp("The agent's configuration; or NERVE_CONFIG.", valueName: "file"))
  var config: String?
  @Option(
    name: [.customShort("i"), .customLong("instance_id"), .customLong("instance-id")],
    help: ArgumentHelp("The agent's instance; or NERVE_INSTANCE_ID.", valueName: "name"))
  var instanceID: String?
  @Flag(help: "Print JSON.") var json = false

  @LoopActor func run() async throws {
    let path = config ?? environment("NERVE_CONFIG") ?? "/etc/nerve/nerve.conf.json"
    let status: StatusReport
    do {
      status = try await Agent.askStatus(
        AgentOptions(configuration: path, instanceID: instanceID ?? environment("NERVE_INSTANCE_ID")))
    } catch {
      StandardOutput.write("nerve status: \(error)\n", to: STDERR_FILENO)
      throw ExitCode(2)
    }
    StandardOutput.write(json ? status.json : status.table(now: LoopClock.system.unixTime), to: STDOUT_FILENO)
    if !status.isFine { throw ExitCode(1) }
  }
}

/// `nerve validate`: what is wrong with configurations.
struct ValidateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "nerve validate", abstract: "Say what is wrong with configurations, without running them.",
    discussion: "Exits with 1 when nerve would leave anything out.")

  @Argument(help: "Configuration files.") var files: [String]

  func run() async throws {
    var isGood = true
    for file in files {
      let (problems, warnings) = Agent.check(
        AgentOptions(configuration: file, instanceID: environment("NERVE_INSTANCE_ID")))
      for warning in warnings { StandardOutput.write("warning: \(warning)\n", to: STDERR_FILENO) }
      for problem in problems { StandardOutput.write("\(problem)\n", to: STDERR_FILENO) }
      if problems.isEmpty { print("\(file) is valid") } else { isGood = false }
    }
    if !isGood { throw ExitCode(1) }
  }
}
