internal import AgentKit
internal import Glibc
internal import Hacheck
internal import Logging
internal import Reactor
internal import SmartStack
internal import YAMLConfig

/// `hacheck` as a program of its own, with upstream's arguments.
enum HacheckProgram {
  static let syntax = CommandSyntax(
    name: "hacheck", abstract: "Answer health checks over HTTP, and keep the operators' downtimes.",
    options: [
      .init(long: "config-file", short: "c", value: .text, help: "A YAML file of settings. (default: none)"),
      .init(
        long: "port", short: "p", value: .integer, help: "A port to listen at. Repeatable. (default: 3333)"),
      .init(
        long: "num-procs", short: "n", value: .integer, help: "Has no effect: one process serves all. Upstream's."),
      .init(long: "bind-address", short: "B", value: .text, help: "The address to listen at. (default: 0.0.0.0)"),
      .init(long: "spool-root", value: .text, help: "The spool of downtimes. (default: /var/spool/hacheck)"),
      .init(long: "verbose", short: "v", help: "Log everything."),
    ])

  /// `hacheck`, for the table of commands.
  static let command = Command(syntax.name, summary: syntax.abstract) { arguments in
    await run(try syntax.parse(arguments))
  }

  /// Serves until SIGTERM, SIGINT or SIGQUIT. `log_path` redirects the standard error; SIGHUP opens that file again.
  /// - Parameter options: operands are ignored, as upstream does.
  /// - Returns: 0 after a signal; 1 when it cannot serve, with the reason on the standard error.
  private static func run(_ options: CommandLineOptions) async -> Int32 {
    do {
      var (configuration, warnings) = try configuration(options)
      let privileges = try Privileges(user: configuration.user, group: configuration.group)
      try setDescriptorLimit(configuration.descriptorLimit)
      try redirectStandardError(to: configuration.logPath)
      try prepareSpool(of: configuration, for: privileges)
      AgentLog.bootstrap(agent: "hacheck", format: .text, level: options["verbose"] == nil ? .warning : .debug)
      let logger = Logger(label: "hacheck")
      for warning in warnings { logger.warning("configuration", with: [.reason: warning]) }
      configuration.hostAddress = await HacheckService.resolveHostAddress()
      try await serve(configuration, as: privileges, logger: logger)
      return 0
    } catch {
      StandardOutput.write("hacheck: \(error)\n", to: STDERR_FILENO)
      return 1
    }
  }

  /// Settings of a command line and of the file it names, with warnings.
  static func configuration(
    _ options: CommandLineOptions
  ) throws -> (configuration: HacheckConfiguration, warnings: [String]) {
    var configuration = HacheckConfiguration()
    var warnings: [String] = []
    if let path = options["config-file"] { warnings = try configuration.load(path: path).map(\.description) }
    let ports = options.all("port").compactMap { Int($0) }
    if !ports.isEmpty { configuration.ports = ports }
    for port in configuration.ports where !(0...65535).contains(port) {
      throw OperatorError("\(port) is not a port")
    }
    if let address = options["bind-address"] { configuration.bindAddress = address }
    if let root = options["spool-root"] { configuration.spoolRoot = root }
    return (configuration, warnings)
  }

  @LoopActor private static func serve(
    _ configuration: HacheckConfiguration, as privileges: Privileges?, logger: Logger
  ) async throws {
    let metrics = Metrics()
    metrics.addProcessMetrics()
    let service = HacheckService(configuration: configuration, logger: logger, metrics: metrics)
    // Ports below 1024 are root's to open; the spool is read as the account, so that a folder that it
    // may not read is noticed now. No request is answered before both are done: the loop runs this first.
    try service.listen()
    defer { service.stop() }
    if let path = configuration.unixSocket { try privileges?.own(path) }
    try privileges?.assume()
    try service.open()
    var reopening: EventSource?
    if configuration.logPath != "stderr", configuration.logPath != "stdout" {
      reopening = EventSource(signal: SIGHUP) {
        do {
          try redirectStandardError(to: configuration.logPath)
        } catch {
          logger.error("log file not reopened", with: [.reason: "\(error)"])
        }
      }
    }
    defer { reopening?.cancel() }
    await firstSignal(of: [SIGTERM, SIGINT, SIGQUIT])
  }

  @LoopActor private static func firstSignal(of numbers: [Int32]) async {
    let stopped = OneShotEvent<Void>()
    let sources = numbers.map { EventSource(signal: $0) { stopped.happen() } }
    await stopped.outcome()
    for source in sources { source.cancel() }
  }

  // MARK: The process

  /// Makes the spool while this is root, and gives it and the log to the account.
  private static func prepareSpool(of configuration: HacheckConfiguration, for privileges: Privileges?) throws {
    guard let privileges else { return }
    try SpoolDirectory(root: configuration.spoolRoot).prepare(forWriting: false)
    try privileges.own(configuration.spoolRoot)
    if configuration.logPath.hasPrefix("/") { try privileges.own(configuration.logPath) }
  }

  private static func setDescriptorLimit(_ wanted: Int?) throws {
    guard let wanted else { return }
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    guard wanted == .max || wanted <= limit.rlim_max else {
      throw OperatorError("rlimit_nofile is \(wanted), but the hard limit is \(limit.rlim_max)")
    }
    limit.rlim_cur = wanted == .max ? limit.rlim_max : rlim_t(wanted)
    if setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) != 0 {
      throw OperatorError("rlimit_nofile: \(String(cString: strerror(errno)))")
    }
  }

  private static func redirectStandardError(to path: String) throws {
    switch path {
    case "stderr": return
    case "stdout": dup2(STDOUT_FILENO, STDERR_FILENO)
    default:
      let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
      guard descriptor >= 0 else {
        throw OperatorError("cannot open the log \(path): \(String(cString: strerror(errno)))")
      }
      dup2(descriptor, STDERR_FILENO)
      close(descriptor)
    }
  }
}
