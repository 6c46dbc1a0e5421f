internal import AgentKit
internal import Glibc
public import HAProxyConfigGen
public import Logging
internal import Reactor
internal import SmartStack
internal import YAMLConfig

/// What the executable does, apart from reading its arguments. Each function returns the exit status.
public enum SynapseProgram {
  /// The number of the version, for the programs' `--version`.
  public static let release = Release.version
  /// What `synapse --version` prints.
  public static let version = "synapse \(release)"

  /// The log's forms: `text`, `json`.
  public static var logFormats: [String] { LogFormat.allCases.map(\.rawValue) }

  /// The name of the lock that a synapse holds in its state directory while it writes a HAProxy file.
  public static func lockName(forHAProxyFile path: String) -> String { "synapse-\(StableHash(path).hexadecimal).lock" }

  /// Reads a configuration and says what is wrong with it, on standard error.
  /// - Returns: 0 if all of it can be run.
  public static func check(_ path: String) -> Int32 {
    let configuration: SynapseConfiguration
    do throws(ConfigError) {
      configuration = try ConfigurationLoader(environment: ProcessEnvironment.current).load(path)
    } catch {
      say(error.description)
      return 1
    }
    for warning in configuration.warnings { say("warning: \(warning)") }
    for leftOut in configuration.leftOut { say(leftOut.description) }
    var isGood = configuration.leftOut.isEmpty
    for problem in configuration.generatorProblems {
      say(problem.severity == .badService ? problem.description : "warning: \(problem)")
      if problem.severity == .badService { isGood = false }
    }
    if isGood { say("\(path) is good: \(configuration.services.count) services") }
    return isGood ? 0 : 1
  }

  /// Runs the agent until it is told to stop.
  @LoopActor public static func run(_ path: String, logFormat: String, logLevel: Logger.Level) async -> Int32 {
    // Early: an upgrade may move the file away under us.
    _ = ThisProcess.path
    let configuration: SynapseConfiguration
    do {
      configuration = try await load(path)
    } catch {
      say("\(error)")
      return 1
    }
    AgentLog.bootstrap(agent: "synapse", format: LogFormat(rawValue: logFormat) ?? .text, level: logLevel)
    let process = SynapseProcess(configuration, path: path, logger: Logger(label: "synapse"))
    // Its signal handlers know it weakly, and the optimizer would let go of it while it runs.
    defer { withExtendedLifetime(process) {} }
    return await process.run()
  }

  /// Off the loop: a large file takes a while.
  public static func load(_ path: String) async throws -> SynapseConfiguration {
    let environment = ProcessEnvironment.current
    return try await BlockingWork.run { try ConfigurationLoader(environment: environment).load(path) }
  }

  private static func say(_ line: String) {
    let bytes = Array("synapse: \(line)\n".utf8)
    _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}

extension SynapseConfiguration {
  /// What the generator finds wrong before any server is known.
  public var generatorProblems: [ConfigProblem] {
    guard let haproxy else { return [] }
    var model = ProxyModel(settings: haproxy.generator, services: services.map(\.haproxy), memory: ServerMemory())
    for service in services {
      // A server that stands for any, so that templates are tried out.
      let sample = Backend(name: "sample", host: "192.0.2.1", port: 1)
      let backends = service.rules.defaultServers.isEmpty ? [sample] : service.rules.defaultServers
      model.apply(ServiceSnapshot(service: service.name, backends: backends), now: 0)
    }
    return model.problems
  }
}

extension Rendering {
  /// Prepares the rendering; nil for a configuration without HAProxy.
  public init?(_ configuration: SynapseConfiguration) {
    guard let section = configuration.haproxy else { return nil }
    self.init(section, services: configuration.services.map { ($0.haproxy, $0.rules.defaultServers) })
  }
}
