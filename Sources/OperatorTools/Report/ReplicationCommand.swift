internal import AgentKit
internal import ArgumentParser
internal import Configure
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

  @Argument(
    help: ArgumentHelp(
      "service.namespace, for example web.main. (default with --html and --json: all)", valueName: "service"))
  var services: [String] = []
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
  @Flag(help: "Print one self-contained HTML page.") var html = false
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
      return unknown
    }
    return command
  }()

  mutating func validate() throws {
    if services.isEmpty, constraints || !html && !json {
      throw ValidationError("Name at least one service.namespace.")
    }
    if [check, json, html, verbose].count(where: { $0 }) > 1 {
      throw ValidationError("Give one of --check, --json, --html and -v.")
    }
    if constraints, check || verbose || html { throw ValidationError("--constraints goes with --json only.") }
    for percent in [critical, warning ?? 0] where !(0...1_000_000).contains(percent) {
      throw ValidationError("\(percent) is not a percentage.")
    }
    if cluster != nil, expected != nil { throw ValidationError("Give one of --expected and --cluster.") }
    if let expected, expected < 0 {
      throw ValidationError("--expected: expected a number of instances, not \(expected).")
    }
  }

  /// The exit status for what cannot be told; of a check also for a wrong command line.
  private static let unknown: Int32 = 3

  func run() async throws { throw ExitCode(constraints ? printConstraints() : await report()) }

  /// Reports on all services.
  /// - Returns: 0 all is well; 1 it is not; ``unknown``. Of a check 0, 1 (a warning), 2 (critical) or 3.
  private func report() async -> Int32 {
    var services = self.services
    if services.isEmpty {
      do { services = try await places.allServices() } catch {
        complain("\(error)")
        return ReplicationCommand.unknown
      }
    }
    let (reports, failures) = await reports(on: services)
    for failure in failures {
      // Monitoring shows the first line.
      if check { StandardOutput.show("UNKNOWN: \(failure)\n") } else { complain("\(failure)") }
    }
    if html {
      let now = await LoopClock.system.unixTime
      let page = reports.page(failures: failures.map { "\($0)" }, now: now)
      StandardOutput.write(page, to: STDOUT_FILENO)
    } else if !reports.isEmpty || failures.isEmpty {
      StandardOutput.show(text(of: reports))
    }
    let worst = reports.map(\.verdict).max() ?? .healthy
    guard check else { return failures.isEmpty ? (worst == .healthy ? 0 : 1) : ReplicationCommand.unknown }
    // What is known to be bad is worse than what is not known.
    if worst == .critical { return 2 }
    return failures.isEmpty ? Int32(worst.rawValue) : ReplicationCommand.unknown
  }

  private func text(of reports: [NamespaceReport]) -> String {
    if check { return reports.map(\.alert).joined() }
    if json {
      return JSONValue.object(["services": .array(reports.map(\.json))]).text(JSONStyle(indent: 2)) + "\n"
    }
    let inColor = isatty(STDOUT_FILENO) == 1 && getenv("NO_COLOR") == nil
    return reports.flatMap { $0.lines(isVerbose: verbose, inColor: inColor) }.map { $0 + "\n" }.joined()
  }

  /// Prints the constraints for a scheduler that follow from the services' levels, one line each, or one JSON object.
  /// - Returns: 0, or ``unknown``.
  private func printConstraints() -> Int32 {
    let levels = NamespaceLevels(
      services: places.servicesDirectory, locations: places.locationDir, files: SourceFiles())
    var object = JSONObject()
    for name in services {
      do {
        object[name] = try levels.constraint(name, within: within)
      } catch {
        complain("\(error)")
        return ReplicationCommand.unknown
      }
    }
    let lines = json ? [JSONValue.object(object).text()] : object.members.map { $0.value.text() }
    StandardOutput.show(lines.map { $0 + "\n" }.joined())
    return 0
  }

  private func complain(_ sentence: String) { StandardOutput.say("smartstack-status: \(sentence)\n") }
}
