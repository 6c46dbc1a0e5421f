internal import AgentKit
internal import Glibc
internal import Reactor
internal import Registry
internal import SmartStack
internal import YAMLConfig
internal import ZooKeeper

/// What `nerve status` tells.
extension Agent {
  /// The socket of an instance's agent in its state directory; nil when the directory cannot be used.
  nonisolated static func socketPath(_ configuration: NerveConfiguration, in state: StateDirectory) -> String? {
    state.path(for: "status-\(configuration.instanceID)")
  }

  /// The status socket of the running agent of a configuration.
  /// - Throws: a `ConfigError`, or an `OperatorError`: the state directory cannot be used.
  public nonisolated static func statusSocketPath(_ options: AgentOptions) throws -> String {
    let configuration = try load(options)
    let state = StateDirectory(existing: configuration.stateDirectory, agent: "nerve")
    guard let path = socketPath(configuration, in: state) else {
      throw OperatorError("\(state.path) cannot be used: \(state.problem?.description ?? "")")
    }
    return path
  }

  /// What there is to tell now.
  func statusReport() -> JSONValue {
    var sessions = JSONObject()
    for (ensemble, session) in host?.publisher.sessions ?? [:] {
      sessions[ensemble] = .string("0x" + String(session.id, radix: 16))
    }
    let runners = (host?.services.runners ?? [:]).sorted { $0.key < $1.key }
    return [
      "agent": "nerve", "version": .string(Release.version), "pid": .int(getpid()),
      "configuration": .string(options.configuration), "connected": .bool(isConnected), "sessions": .object(sessions),
      "hacheck": isHacheckListening.map { .bool($0) } ?? .null,
      "services": .array(runners.map { Agent.status(of: $0.value) }),
    ]
  }

  private static func status(of runner: ServiceRunner) -> JSONValue {
    let configuration = runner.configuration
    let checks = zip(configuration.checks, runner.lastResults).map { check, result -> JSONValue in
      [
        "name": .string(check.name), "passed": result.map { .bool($0.passed) } ?? .null,
        "detail": .string(result?.detail ?? "has not answered yet"),
        "elapsed": result.map { .double($0.elapsed / .seconds(1)) } ?? .null,
      ]
    }
    var status: JSONObject = [
      "name": .string(configuration.name), "host": .string(configuration.host), "port": .int(configuration.port),
      "state": .string(runner.reported?.rawValue ?? "unknown"), "since": runner.since.map { .double($0) } ?? .null,
      "drained": .bool(runner.isDrained), "registration": .string(runner.registrar.state.description),
      "checks": .array(checks),
    ]
    if case .settled(.up, let place?) = runner.registrar.state { status["place"] = .string(place) }
    return .object(status)
  }
}
