internal import Glibc
internal import Hacheck
internal import Reactor
internal import Registry
internal import SmartStack
internal import ZooKeeper

/// What `nerve status` tells. docs/operations.md lists every field.
extension Agent {
  /// What there is to tell now.
  func statusReport() -> JSONValue {
    var sessions = JSONObject()
    for (ensemble, session) in host?.publisher.sessions ?? [:] {
      sessions[ensemble] = .string("0x" + String(session.id, radix: 16))
    }
    let runners = (host?.services.runners ?? [:]).sorted { $0.key < $1.key }
    let running = Set(runners.map { $0.value.configuration.key })
    let skipped = configuration?.skipped ?? []
    let isOK = rejection == nil && skipped.isEmpty && runners.allSatisfy { $0.value.isRegistered }
    return [
      "format": 1, "agent": "nerve", "version": .string(Release.version), "pid": .int(getpid()),
      "time": .double(LoopClock.system.unixTime), "ok": .bool(isOK),
      "configuration": .string(options.configuration), "instance": .string(configuration?.instanceID ?? ""),
      "rejected": rejection.map { ["since": .double($0.since), "reason": .string($0.reason)] } ?? .null,
      "connected": .bool(isConnected), "sessions": .object(sessions),
      "hacheck": isHacheckListening.map { .bool($0) } ?? .null,
      "skipped": .array(
        skipped.map { service, error in
          ["name": .string(service), "reason": .string("\(error)"), "runs": .bool(running.contains(service))]
        }),
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
    var place: JSONValue = .null
    if case .settled(.up, let path?) = runner.registrar.state { place = .string(path) }
    return [
      "name": .string(configuration.name), "ok": .bool(runner.isRegistered), "host": .string(configuration.host),
      "port": .int(configuration.port), "state": .string(runner.reported?.rawValue ?? "unknown"),
      "since": runner.since.map { .double($0) } ?? .null, "drained": .bool(runner.isDrained),
      "downtime": runner.downtime.map(status(of:)) ?? .null,
      "registration": .string(runner.registrar.state.description), "place": place, "checks": .array(checks),
    ]
  }
}

extension Agent {
  private static func status(of downtime: Downtime) -> JSONValue {
    [
      "scope": .string("\(downtime.scope)"), "reason": .string(downtime.reason),
      "by": downtime.setter.map { .string($0) } ?? .null, "since": downtime.creation.map { .double($0) } ?? .null,
      "until": downtime.expiration.map { .double($0) } ?? .null,
    ]
  }
}

extension ServiceRunner {
  /// Whether the service is up, and in the registry.
  fileprivate var isRegistered: Bool {
    guard reported == .up, case .settled(.up, place: .some) = registrar.state else { return false }
    return true
  }
}
