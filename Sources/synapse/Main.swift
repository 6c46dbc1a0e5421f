internal import ArgumentParser
internal import Configure
internal import Glibc
internal import Logging
internal import OperatorTools
internal import Reactor
internal import SynapseAgent

/// `synapse` is several programs: the name it is called by, or its first word, says which.
@main enum Main {
  /// Everything runs on the event loop; the main thread only waits. An `async` main would bring libdispatch's threads
  /// along, whose watchdog ends the process where /proc shows another process namespace.
  static func main() {
    Task { @LoopActor in await start() }
    while true { pause() }
  }

  @LoopActor private static func start() async -> Never {
    let called = CommandLine.arguments.first?.split(separator: "/").last.map(String.init) ?? ""
    let words = Array(CommandLine.arguments.dropFirst())
    await runProgram(called, words)
    if let word = words.first { await runProgram(word, Array(words.dropFirst())) }
    switch words.first {
    case "status": await run(Status.self, Array(words.dropFirst()))
    case "validate": await run(Validate.self, Array(words.dropFirst()))
    case "render": await run(Render.self, Array(words.dropFirst()))
    default: await run(Agent.self, words)
    }
  }

  /// Runs the program of that name and does not return; returns if there is none.
  @LoopActor private static func runProgram(_ name: String, _ words: [String]) async {
    if ConfigureSynapse.names.contains(name) { await run(ConfigureCommand.self, words) }
    if Reaper.names.contains(name) { await run(ReaperCommand.self, words) }
    if SmartstackStatus.names.contains(name) { await run(ReplicationCommand.self, words) }
  }

  @LoopActor private static func run<Command: AsyncParsableCommand>(
    _ type: Command.Type, _ words: [String]
  ) async -> Never {
    do {
      var command = try Command.parseAsRoot(words)
      if var asynchronous = command as? Command { try await asynchronous.run() } else { try command.run() }
      exit(0)
    } catch {
      guard Command.exitCode(for: error) == .validationFailure else { Command.exit(withError: error) }
      // Monitoring reads the standard output, and takes 2 for critical.
      let isCheck = type == ReplicationCommand.self && words.contains("--check")
      let message = Array(((isCheck ? "UNKNOWN: " : "") + Command.fullMessage(for: error) + "\n").utf8)
      _ = message.withUnsafeBytes { write(isCheck ? STDOUT_FILENO : STDERR_FILENO, $0.baseAddress, $0.count) }
      // The originals' status for wrong usage is 2, the library's is 64.
      exit(isCheck ? SmartstackStatus.unknown : 2)
    }
  }
}

/// The command `synapse -c FILE`.
struct Agent: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "synapse", abstract: "Keep this host's HAProxy in agreement with the service registry.",
    discussion:
      "`synapse status`, `validate`, `render` and `smartstack-status` are commands of their own: see their --help.",
    version: SynapseProgram.version)

  @Option(name: .shortAndLong, help: "The configuration file; default: the variable SYNAPSE_CONFIG.")
  var config: String?
  @Flag(
    name: [.customShort("k"), .long], help: "Only say what is wrong with the configuration.")
  var checkConfig = false
  @Option(help: "How log lines are written: \(SynapseProgram.logFormats.joined(separator: " or ")).")
  var logFormat = "text"
  @Option(help: "The least level that is logged, for example notice.")
  var logLevel = "info"

  private var path: String? { config ?? getenv("SYNAPSE_CONFIG").map { String(cString: $0) } }

  mutating func validate() throws {
    if path == nil { throw ValidationError("No configuration is named: use -c FILE or the variable SYNAPSE_CONFIG.") }
    if !SynapseProgram.logFormats.contains(logFormat) {
      throw ValidationError("There is no log format '\(logFormat)'.")
    }
    if Logger.Level(rawValue: logLevel) == nil { throw ValidationError("There is no log level '\(logLevel)'.") }
  }

  mutating func run() async throws {
    guard let path else { return }
    if checkConfig { throw ExitCode(SynapseProgram.check(path)) }
    throw ExitCode(
      await SynapseProgram.run(path, logFormat: logFormat, logLevel: Logger.Level(rawValue: logLevel) ?? .info))
  }
}
