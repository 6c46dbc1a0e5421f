internal import ArgumentParser
internal import Glibc
internal import Logging
internal import SynapseAgent

@main struct Main {
  /// Commands that a link's name or the first word selects; without one of them it is the agent.
  private static let commands: [String: any AsyncParsableCommand.Type] = [:]

  static func main() async {
    var words = Array(CommandLine.arguments.dropFirst())
    let link = CommandLine.arguments.first?.split(separator: "/").last.map(String.init) ?? ""
    var command: any AsyncParsableCommand.Type = Agent.self
    if let named = commands[link] {
      command = named
    } else if let first = words.first, let named = commands[first] {
      command = named
      words.removeFirst()
    }
    await run(command, words)
  }

  private static func run(_ type: any AsyncParsableCommand.Type, _ words: [String]) async {
    do {
      var parsed = try type.parseAsRoot(words)
      if var command = parsed as? any AsyncParsableCommand { try await command.run() } else { try parsed.run() }
    } catch {
      // The originals' status for wrong usage is 2, the library's is 64.
      guard type.exitCode(for: error) == .validationFailure else { type.exit(withError: error) }
      let message = Array((type.fullMessage(for: error) + "\n").utf8)
      _ = message.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
      exit(2)
    }
  }
}

/// `synapse -c FILE`.
struct Agent: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "synapse", abstract: "Keep this host's HAProxy in agreement with the service registry.",
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
