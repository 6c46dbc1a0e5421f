internal import AgentKit
internal import ArgumentParser
internal import Glibc
internal import Reactor
internal import SmartStack

/// `smartstack-status`: the replication of services, location by location.
struct ReplicationCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "smartstack-status",
    abstract: "Show how many servers of services are up at each location of their discover level.",
    discussion: """
      Exit status: 0 all are healthy, 1 one is not, 3 unknown. With --check, as Nagios and Sensu have it: 0 OK, 1 \
      warning, 2 critical, 3 unknown. Wrong usage is 2, with --check 3.
      """,
    version: "smartstack-status \(Release.version)")

  @Argument(help: ArgumentHelp("service.namespace, for example web.main.", valueName: "service")) var services: [String]
  @OptionGroup(title: "Where it looks") var places: ReplicationPlaces

  @Option(
    help: ArgumentHelp("Number of instances at all locations together. (default: the registered ones)", valueName: "n"))
  var expected: Int?
  @Option(
    help: ArgumentHelp("Take the expected number from the services' marathon-CLUSTER.yaml.", valueName: "cluster"))
  var cluster: String?
  @Option(
    name: .customLong("location"),
    help: ArgumentHelp("A location that must have the services. Repeatable.", valueName: "name")
  )
  var locations: [String] = []
  @Option(name: .shortAndLong, help: ArgumentHelp("Critical below this percentage.", valueName: "percent"))
  var critical = 50
  @Option(
    name: .shortAndLong, help: ArgumentHelp("A warning below this percentage. (default: none)", valueName: "percent"))
  var warning: Int?
  @Flag(help: "Print and exit as a check of Nagios or Sensu.") var check = false
  @Flag(help: "Print JSON.") var json = false
  @Flag(name: .shortAndLong, help: "List the servers.") var verbose = false
  @Flag(help: "Print the scheduler constraints that follow from the services' levels, and nothing else.")
  var constraints = false
  @Option(
    help: ArgumentHelp(
      "With --constraints: count locations within this host's location of this type. (default: superregion)",
      valueName: "type"))
  var within: String?

  /// `smartstack-status`, for the table of commands. Monitoring reads the standard output, and takes 2 for critical.
  static let command = {
    var command = Command(ReplicationCommand.self)
    command.onWrongUsage = { arguments, problem in
      guard arguments.contains("--check") else { return nil }
      StandardOutput.show("UNKNOWN: \(problem)\n")
      return SmartstackStatus.unknown
    }
    return command
  }()

  mutating func validate() throws {
    if services.isEmpty { throw ValidationError("Name at least one service.namespace.") }
    if [check, json, verbose].count(where: { $0 }) > 1 { throw ValidationError("Give one of --check, --json and -v.") }
    if constraints, check || verbose { throw ValidationError("--constraints goes with --json only.") }
    for percent in [critical, warning ?? 0] where !(0...1_000_000).contains(percent) {
      throw ValidationError("\(percent) is not a percentage.")
    }
    if cluster != nil, expected != nil { throw ValidationError("Give one of --expected and --cluster.") }
    if let expected, expected < 0 {
      throw ValidationError("--expected: expected a number of instances, not \(expected).")
    }
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
