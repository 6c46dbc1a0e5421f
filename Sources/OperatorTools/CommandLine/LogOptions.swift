internal import AgentKit
public import ArgumentParser
public import Logging

/// The options of an agent's log.
public struct LogOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Format of log lines: text or json.", valueName: "format"))
  private var logFormat = LogFormat.text.rawValue
  @Option(
    help: ArgumentHelp("Lowest level that is logged: debug, info, notice, warning or error.", valueName: "level"))
  private var logLevel = Logger.Level.info.rawValue

  /// Creates the options with their defaults.
  public init() {}

  /// Refuses unknown formats and levels.
  public mutating func validate() throws {
    if LogFormat(rawValue: logFormat) == nil { throw ValidationError("--log-format: expected text or json.") }
    if Logger.Level(rawValue: logLevel) == nil { throw ValidationError("--log-level: no level '\(logLevel)'.") }
  }

  /// Starts the log of an agent.
  public func startLog(of agent: String) -> Logger {
    AgentLog.bootstrap(
      agent: agent, format: LogFormat(rawValue: logFormat) ?? .text, level: Logger.Level(rawValue: logLevel) ?? .info)
    return Logger(label: agent)
  }
}
