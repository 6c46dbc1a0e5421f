internal import AgentKit
internal import Glibc
internal import HAProxyConfigGen
internal import HAProxyRuntime
internal import Reactor
internal import Registry
internal import SmartStack

/// One service, as an operator sees it.
struct ServiceStatus: Sendable {
  var configuration: ServiceConfiguration
  /// The registry's data; nil: there is none yet.
  var snapshot: ServiceSnapshot?
  /// When the data last changed, in seconds since 1970.
  var lastChange: Double?
  /// The servers that are served while there is no data.
  var remembered: [Backend] = []

  /// - Parameters:
  ///   - seen: the backend's servers in HAProxy by their names; nil: unknown.
  ///   - traffic: the backend's; nil: unknown.
  func json(seen: [String: StatsPage.Server]?, traffic: StatsPage.Traffic?) -> JSONValue {
    let known = (snapshot?.backends ?? remembered).map { server in
      ServiceStatus.server(server, origin: origin(of: server), seen: seen?[server.serverName])
    }
    let names = Set((snapshot?.backends ?? remembered).map(\.serverName))
    let left = (seen ?? [:]).filter { !names.contains($0.key) }.sorted { $0.key < $1.key }
    let hasUp = known.contains { $0["up"]?.bool ?? true }
    let state = hasUp ? "up" : !known.isEmpty ? "down" : snapshot == nil ? "unknown" : "empty"
    return [
      "name": .string(configuration.name), "ok": .bool(hasUp), "state": .string(state), "port": port,
      "discovery": .string(configuration.discovery.place), "has_data": .bool(snapshot != nil),
      "preserved": .bool(snapshot?.isPreserved ?? false), "changed": lastChange.map { .double($0) } ?? .null,
      "traffic": traffic.map(ServiceStatus.json) ?? .null,
      "servers": .array(known + left.map { ServiceStatus.left($0.value) }),
    ]
  }

  private static func json(_ traffic: StatsPage.Traffic) -> JSONValue {
    [
      "sessions": .int(traffic.sessions), "queued": .int(traffic.queued), "rate": .int(traffic.rate),
      "total": .int(traffic.total), "errors": .int(traffic.errors), "responses_5xx": .int(traffic.serverErrors),
    ]
  }

  private var port: JSONValue {
    if case .number(let port) = configuration.haproxy.port, !configuration.haproxy.isDisabled {
      .string(port)
    } else {
      .null
    }
  }

  private func origin(of server: Backend) -> String {
    if snapshot == nil { return "memory" }
    if configuration.rules.defaultServers.contains(where: { $0.serverName == server.serverName }) { return "defaults" }
    return snapshot?.isPreserved == true ? "preserved" : "registry"
  }

  private static func server(_ server: Backend, origin: String, seen: StatsPage.Server?) -> JSONValue {
    [
      "name": .string(server.serverName), "host": .string(server.host), "port": .int(server.port),
      "weight": server.weight.map { .int($0) } ?? .null, "from": .string(origin),
      "up": seen.map { .bool($0.isUp || $0.status == "no check") } ?? .null,
      "status": seen.map { .string($0.status) } ?? .null, "check": seen.map { .string($0.lastCheck) } ?? .null,
      "age": seen?.lastChange.map { .int($0) } ?? .null,
    ]
  }

  /// A server that HAProxy still has in memory, and the registry has not.
  private static func left(_ seen: StatsPage.Server) -> JSONValue {
    [
      "name": .string(seen.name), "host": seen.place.map { .string($0.host) } ?? .null,
      "port": seen.place.map { .int($0.port) } ?? .null, "weight": .null, "from": "left", "up": .bool(seen.isUp),
      "status": .string(seen.status), "check": .string(seen.lastCheck),
      "age": seen.lastChange.map { .int($0) } ?? .null,
    ]
  }
}

/// A running agent, as an operator sees it: services, servers and where each came from, HAProxy, the last reloads.
/// docs/operations.md lists every field.
struct StatusReport {
  var configurationFile: String
  /// Address and port of the page; nil: it has none.
  var page: String?
  /// Why the file is rejected while an older configuration is active, and since when in seconds since 1970.
  var rejection: (reason: String, since: Double)?
  var services: [ServiceStatus]
  /// The services that cannot be run, each with the reason.
  var skipped: [SkippedService]
  /// Whether nothing is left to be done, and what makes the rest; nil: no HAProxy is kept.
  var haproxy: (isCurrent: Bool, status: @LoopActor () -> JSONObject)?

  /// The report as one JSON object.
  /// - Parameters:
  ///   - seen: HAProxy's statistics; nil: HAProxy does not answer.
  ///   - shortage: why HAProxy may not have as many connections as it should; nil: it may.
  @LoopActor func json(seen: StatsPage?, shortage: String?, now: Double) async -> JSONValue {
    var proxy = haproxy?.status()
    if let shortage {
      let known = proxy?["problems"]?.array ?? []
      proxy?["problems"] = .array(known + [.string(shortage)])
    }
    let servers = services.reduce(0) { $0 + ($1.snapshot?.backends ?? $1.remembered).count }
    let rows = await BlockingWork.compute(items: servers) { [services] in StatusReport.rows(services, seen: seen) }
    let running = Set(services.map(\.configuration.name))
    let isOK =
      rejection == nil && skipped.isEmpty && services.allSatisfy { $0.snapshot != nil }
      && proxy?["ok"]?.bool != false
    return [
      "format": 1, "agent": "synapse", "version": .string(Release.version),
      "pid": .int(getpid()), "time": .double(now), "ok": .bool(isOK),
      "configuration": .string(configurationFile),
      "rejected": rejection.map { ["since": .double($0.since), "reason": .string($0.reason)] } ?? .null,
      "skipped": .array(
        skipped.map { service in
          [
            "name": .string(service.name), "reason": .string("\(service.error)"),
            "runs": .bool(running.contains(service.name)),
          ]
        }),
      "page": page.map { .string($0) } ?? .null, "haproxy": proxy.map { .object($0) } ?? .null,
      "services": .array(rows), "events": .array(AgentLog.recent),
    ]
  }

  private static func rows(_ services: [ServiceStatus], seen: StatsPage?) -> [JSONValue] {
    let servers = seen.map { page in
      Dictionary(grouping: page.servers, by: \.proxy).mapValues { servers in
        Dictionary(servers.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
      }
    }
    return services.map { service in
      let settings = service.configuration.haproxy
      // A backend that HAProxy does not have is not one without servers.
      return service.json(
        seen: settings.isDisabled ? nil : servers?[settings.backendSection],
        traffic: settings.isDisabled ? nil : seen?.traffic[settings.backendSection])
    }
  }
}
