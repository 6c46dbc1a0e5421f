internal import AgentKit
internal import HAProxyConfigGen
internal import Reactor
internal import SmartStack
internal import YAMLConfig

/// What the executable does, apart from reading its arguments.
public enum SynapseProgram {
  /// The number of the version, for the programs' `--version`.
  public static let release = Release.version
  /// What `synapse --version` prints.
  public static let version = "synapse \(release)"

  /// The name of the lock that a synapse holds in its state directory while it writes a HAProxy file.
  public static func lockName(forHAProxyFile path: String) -> String { "synapse-\(StableHash(path).hexadecimal).lock" }

  /// Off the loop: a large file takes a while.
  /// - Parameter known: what it held before, which is returned if its files are unchanged.
  public static func load(
    _ path: String, unless known: SynapseConfiguration? = nil
  ) async throws -> SynapseConfiguration {
    let environment = ProcessEnvironment.current
    return try await BlockingWork.run {
      if let known, known.files.areUnchanged { return known }
      return try ConfigurationLoader(environment: environment).load(path)
    }
  }
}

extension Rendering {
  /// Prepares the rendering; nil for a configuration without HAProxy.
  public init?(_ configuration: SynapseConfiguration) {
    guard let section = configuration.haproxy else { return nil }
    self.init(section, services: configuration.services.map { ($0.haproxy, $0.rules.defaultServers) })
  }
}
