internal import ArgumentParser
internal import Glibc
internal import OperatorTools
internal import SynapseAgent

/// The command `smartstack-status`.
struct ReplicationCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "smartstack-status",
    abstract: "Tell how many servers of services are up at each location of their discover level.",
    discussion: """
      Exit status: 0 all is well, 1 it is not, 3 it cannot be told. With --check, as Nagios and Sensu have it: 0 OK, 1 \
      warning, 2 critical, 3 unknown. Wrong usage is 2, with --check 3.
      """,
    version: "smartstack-status \(SynapseProgram.release)")

  @Argument(help: ArgumentHelp("service.namespace, for example web.main.", valueName: "service")) var services: [String]
  @OptionGroup(title: "Where it looks") var places: ReplicationPlaces

  @Option(help: ArgumentHelp("Instances everywhere together; without it what is registered.", valueName: "n"))
  var expected: Int?
  @Option(help: ArgumentHelp("Expected is what the services' marathon-CLUSTER.yaml has.", valueName: "cluster"))
  var cluster: String?
  @Option(
    name: .customLong("location"), help: ArgumentHelp("One that must have the services. Repeatable.", valueName: "name")
  )
  var locations: [String] = []
  @Option(name: .shortAndLong, help: ArgumentHelp("Critical below it.", valueName: "percent")) var critical = 50
  @Option(name: .shortAndLong, help: ArgumentHelp("A warning below it.", valueName: "percent")) var warning: Int?
  @Flag(help: "Answer as a check of Nagios or Sensu.") var check = false
  @Flag(help: "Print JSON.") var json = false
  @Flag(name: .shortAndLong, help: "List the servers.") var verbose = false
  @Flag(help: "Print the scheduler constraint that follows from the services' levels, and nothing else.")
  var constraints = false
  @Option(help: ArgumentHelp("With --constraints: count locations within this host's; superregion.", valueName: "type"))
  var within: String?

  mutating func validate() throws {
    if services.isEmpty { throw ValidationError("Name at least one service.namespace.") }
    if [check, json, verbose].count(where: { $0 }) > 1 { throw ValidationError("Give one of --check, --json and -v.") }
    if constraints, check || verbose { throw ValidationError("--constraints goes with --json only.") }
    for percent in [critical, warning ?? 0] where !(0...1_000_000).contains(percent) {
      throw ValidationError("\(percent) is no percentage.")
    }
    if cluster != nil, expected != nil { throw ValidationError("Give one of --expected and --cluster.") }
    if let expected, expected < 0 { throw ValidationError("--expected takes a number of instances, not \(expected).") }
  }

  mutating func run() async throws {
    var options = ReplicationOptions(services: services)
    places.fill(&options)
    (options.expected, options.cluster, options.locations) = (expected, cluster, locations)
    options.thresholds = ReplicationThresholds(critical: critical, warning: warning)
    if constraints { throw ExitCode(await SmartstackStatus.constraints(options, within: within, asJSON: json)) }
    let inColor = isatty(STDOUT_FILENO) == 1 && getenv("NO_COLOR") == nil
    let form: SmartstackStatus.Form = check ? .check : json ? .json : .text(isVerbose: verbose, inColor: inColor)
    throw ExitCode(await SmartstackStatus.run(options, as: form))
  }
}
