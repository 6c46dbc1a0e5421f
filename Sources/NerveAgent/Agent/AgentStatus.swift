internal import AgentKit
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
      "page": configuration?.statusPort.map { .string("\(configuration?.statusAddress ?? ""):\($0)") } ?? .null,
      "skipped": .array(
        skipped.map { service, error in
          ["name": .string(service), "reason": .string("\(error)"), "runs": .bool(running.contains(service))]
        }),
      "services": .array(runners.map { Agent.status(of: $0.value) }), "events": .array(AgentLog.recent),
    ]
  }

  private static func status(of runner: ServiceRunner) -> JSONValue {
    let configuration = runner.configuration
    let overdue = runner.overdue
    let checks = zip(configuration.checks, runner.lastResults).map { check, result -> JSONValue in
      var detail = result?.detail ?? "has not answered yet"
      if let overdue, overdue.check == check.name { detail = "has run for \(overdue.elapsed.components.seconds) s" }
      return [
        "name": .string(check.name), "passed": result.map { .bool($0.passed) } ?? .null,
        "detail": .string(detail),
        "elapsed": result.map { .double($0.elapsed / .seconds(1)) } ?? .null,
      ]
    }
    // Nobody knows what a registry holds that is away, or comes back empty.
    let isKnown = runner.registrar.isReachable
    var place: JSONValue = .null
    if isKnown, case .settled(.up, let path?) = runner.registrar.state { place = .string(path) }
    let registration = "\(runner.registrar.state)" + (isKnown ? "" : ", before the connection was lost")
    return [
      "name": .string(configuration.name), "ok": .bool(runner.isRegistered), "host": .string(configuration.host),
      "port": .int(configuration.port), "condition": .string(runner.condition),
      "state": .string(runner.standing?.rawValue ?? "unknown"),
      "since": runner.since.map { .double($0) } ?? .null, "drained": .bool(runner.isDrained),
      "downtime": runner.downtime.map(\.json) ?? .null, "drain": runner.drainScope.map { "\($0)" } ?? .null,
      "registration": .string(registration), "place": place, "checks": .array(checks),
    ]
  }
}

extension ServiceRunner {
  /// Whether the service is up, and in the registry.
  var isRegistered: Bool {
    guard standing == .up, case .settled(.up, place: .some) = registrar.state else { return false }
    return true
  }
  /// What became of the service, in one word: `up`, and in the registry; `down` by its checks; `drained` by an operator,
  /// whatever the checks say; `pending`: not in the registry yet, or not checked.
  var condition: String {
    if isDrained { return "drained" }
    if reported == .down { return "down" }
    return isRegistered ? "up" : "pending"
  }
}
