internal import Reactor
internal import Registry
internal import SmartStack

/// One service, as an operator sees it.
struct ServiceStatus {
  var configuration: ServiceConfiguration
  /// The registry's data; nil: there is none yet.
  var snapshot: ServiceSnapshot?
  /// When the data last changed, in seconds since 1970.
  var lastChange: Double?
  /// The servers that are served while there is no data.
  var remembered: [Backend] = []

  var json: JSONObject {
    let place = configuration.discovery.place
    let defaults = Set(configuration.rules.defaultServers.map(\.serverName))
    let servers =
      snapshot?.backends.map {
        StatusText.server($0, from: defaults.contains($0.serverName) ? "default_servers" : place)
      }
      ?? remembered.map { StatusText.server($0, from: "memory") }
    var status = JSONObject()
    status["discovery"] = .string(place)
    status["heard_of"] = .bool(snapshot != nil)
    status["last_change"] = lastChange.map { .double($0) } ?? .null
    status["servers"] = .array(servers)
    return status
  }
}

/// A running agent, as an operator sees it: services, servers and where each came from, HAProxy, the last reloads.
struct StatusReport {
  var configurationFile: String
  var services: [ServiceStatus]
  /// The services that cannot be run, each with the reason.
  var skipped: [String]
  /// Whether nothing is left to be done, and the rest; nil: no HAProxy is kept.
  var haproxy: (isCurrent: Bool, status: JSONObject)?

  /// The report as one JSON object.
  @LoopActor func json(version: String, now: Double) -> JSONValue {
    var services = JSONObject()
    for service in self.services { services[service.configuration.name] = .object(service.json) }
    var report = JSONObject()
    report["version"] = .string(version)
    report["pid"] = .int(ThisProcess.processID)
    report["time"] = .double(now)
    report["configuration"] = .string(configurationFile)
    report["services"] = .object(services)
    report["left_out"] = .array(skipped.map { .string($0) })
    if let haproxy { report["haproxy"] = .object(haproxy.status) }
    return .object(report)
  }
}
