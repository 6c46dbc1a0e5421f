internal import Glibc
internal import Hacheck
public import Logging
internal import Reactor
internal import SmartStack
internal import YAMLConfig

/// `hacheck` as a program of its own, with the original's arguments.
public enum HacheckProgram {
  static let options = [
    CommandLineOptions.Option("c", "config-file", .text, "Path to a YAML config file"),
    CommandLineOptions.Option(
      "p", "port", .integer, "Port to listen on. May be repeated. If not passed, defaults to :3333."),
    CommandLineOptions.Option("n", "num-procs", .integer, "Accepted for the original's sake; one process serves all"),
    CommandLineOptions.Option("B", "bind-address", .text, "Address to listen on. Defaults to 0.0.0.0"),
    CommandLineOptions.Option(
      nil, "spool-root", .text, "Root for spool for service states (default /var/spool/hacheck)"),
    CommandLineOptions.Option("v", "verbose", .flag, "Log everything"),
  ]

  /// Serves until SIGTERM, SIGINT or SIGQUIT.
  ///
  /// - Parameters:
  ///   - arguments: without the program's name; what is no option is ignored, as in the original.
  ///   - startLog: makes `Logger(label:)` write to the standard error, from this level on. `log_path` leads
  ///     the standard error elsewhere before; SIGHUP opens that file anew.
  /// - Returns: 0 after a signal; 1 when it cannot serve, with the reason on the standard error; 2 for a
  ///   wrong command line.
  public static func run(arguments: [String], startLog: (Logger.Level) -> Void) async -> Int32 {
    let options: CommandLineOptions
    do {
      options = try CommandLineOptions(arguments, HacheckProgram.options)
    } catch {
      switch error {
      case .helpWanted:
        StandardOutput.write(
          CommandLineOptions.help(usage: "hacheck [options]", HacheckProgram.options), to: STDOUT_FILENO)
        return 0
      case .versionWanted:
        StandardOutput.write("hacheck \(Release.version)\n", to: STDOUT_FILENO)
        return 0
      case .wrong(let sentence):
        StandardOutput.write("Usage: hacheck [options]\n\nhacheck: error: \(sentence)\n", to: STDERR_FILENO)
        return 2
      }
    }
    do {
      var (configuration, warnings) = try configuration(options)
      let privileges = try Privileges(user: configuration.user, group: configuration.group)
      try setDescriptorLimit(configuration.descriptorLimit)
      try leadStandardError(to: configuration.logPath)
      try handOver(configuration, to: privileges)
      startLog(options["verbose"] == nil ? .warning : .debug)
      let logger = Logger(label: "hacheck")
      for warning in warnings { logger.warning("configuration", with: [.reason: warning]) }
      configuration.hostAddress = await HacheckService.resolveHostAddress()
      try await serve(configuration, privileges, logger)
      return 0
    } catch {
      StandardOutput.write("hacheck: \(error)\n", to: STDERR_FILENO)
      return 1
    }
  }

  /// The settings of a command line and of the file it names, and what is odd about them.
  static func configuration(
    _ options: CommandLineOptions
  ) throws -> (configuration: HacheckConfiguration, warnings: [String]) {
    var configuration = HacheckConfiguration()
    var warnings: [String] = []
    if let path = options["config-file"] { warnings = try configuration.load(path: path).map(\.description) }
    let ports = options.all("port").compactMap { Int($0) }
    if !ports.isEmpty { configuration.ports = ports }
    for port in configuration.ports where !(0...65535).contains(port) {
      throw ProgramFailure(description: "\(port) is no port")
    }
    if let address = options["bind-address"] { configuration.bindAddress = address }
    if let root = options["spool-root"] { configuration.spoolRoot = root }
    return (configuration, warnings)
  }

  @LoopActor private static func serve(
    _ configuration: HacheckConfiguration, _ privileges: Privileges?, _ logger: Logger
  ) async throws {
    let service = HacheckService(configuration: configuration, logger: logger, metrics: Metrics())
    // Ports below 1024 are root's to open; the spool is read as whoever goes on, so that a folder that the account
    // may not read is noticed now. No request is answered before both are done: the loop runs this first.
    try service.listen()
    defer { service.stop() }
    if let path = configuration.unixSocket { try privileges?.own(path) }
    try privileges?.take()
    try service.open()
    var reopening: SignalSource?
    if configuration.logPath != "stderr", configuration.logPath != "stdout" {
      reopening = SignalSource(SIGHUP) {
        do {
          try leadStandardError(to: configuration.logPath)
        } catch {
          logger.error("log cannot be opened anew, the old file goes on", with: [.reason: "\(error)"])
        }
      }
    }
    defer { reopening?.cancel() }
    await firstSignal([SIGTERM, SIGINT, SIGQUIT])
  }

  @LoopActor private static func firstSignal(_ numbers: [Int32]) async {
    let signalled = OneShotEvent<Void>()
    let sources = numbers.map { SignalSource($0) { signalled.happen() } }
    await signalled.outcome()
    for source in sources { source.cancel() }
  }

  // MARK: The process

  /// Makes the spool while root still can, and gives it and the log to the account.
  private static func handOver(_ configuration: HacheckConfiguration, to privileges: Privileges?) throws {
    guard let privileges else { return }
    try SpoolDirectory(root: configuration.spoolRoot).prepare(forWriting: false)
    try privileges.own(configuration.spoolRoot)
    if configuration.logPath.hasPrefix("/") { try privileges.own(configuration.logPath) }
  }

  private static func setDescriptorLimit(_ wanted: HacheckConfiguration.DescriptorLimit?) throws {
    guard let wanted else { return }
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    switch wanted {
    case .maximum: limit.rlim_cur = limit.rlim_max
    case .count(let count):
      guard count <= limit.rlim_max else {
        throw ProgramFailure(description: "rlimit_nofile is \(count), but the hard limit is \(limit.rlim_max)")
      }
      limit.rlim_cur = rlim_t(count)
    }
    if setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) != 0 {
      throw ProgramFailure(description: "rlimit_nofile: \(String(cString: strerror(errno)))")
    }
  }

  private static func leadStandardError(to path: String) throws {
    switch path {
    case "stderr": return
    case "stdout": dup2(STDOUT_FILENO, STDERR_FILENO)
    default:
      let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
      guard descriptor >= 0 else {
        throw ProgramFailure(description: "cannot open the log \(path): \(String(cString: strerror(errno)))")
      }
      dup2(descriptor, STDERR_FILENO)
      close(descriptor)
    }
  }
}

/// A sentence for the standard error.
private struct ProgramFailure: Error, CustomStringConvertible {
  let description: String
}
