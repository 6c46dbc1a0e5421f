internal import AgentKit
internal import HAProxyConfigGen
internal import HAProxyRuntime
internal import Logging
internal import Reactor
internal import SmartStack

/// What an operator asks a running agent: services, servers and where each came from, HAProxy, the last reloads.
extension Synapse {
  /// Makes the server of the report: `/` is a page, `/metrics` Prometheus' text.
  func makeStatusServer(metrics: Metrics, logger: Logger) -> StatusServer {
    let report = { @LoopActor [weak self] in self?.statusReport(now: LoopClock.system.unixTime) ?? .null }
    return StatusServer(
      logger: logger, report: report,
      pages: [
        "/metrics": { StatusPage(type: "text/plain; version=0.0.4; charset=utf-8", text: metrics.render()) },
        "/": { StatusPage(type: "text/html; charset=utf-8", text: Synapse.page(StatusText.lines(report()))) },
      ])
  }

  /// Names come from the registry: anybody's.
  private static func page(_ lines: [String]) -> String {
    let text = lines.map(\.htmlEscaped).joined(separator: "\n")
    return "<!doctype html><title>synapse</title><p><a href=\"/status\">JSON</a> <a href=\"/metrics\">metrics</a></p>"
      + "<pre>\n\(text)\n</pre>\n"
  }

  /// All of it, as one JSON object.
  func statusReport(now: Double) -> JSONValue {
    var services = JSONObject()
    for service in servedServices { services[service.name] = .object(status(of: service)) }
    var report = JSONObject()
    report["version"] = .string(SynapseProgram.version)
    report["pid"] = .int(ThisProcess.processID)
    report["time"] = .double(now)
    report["configuration"] = .string(configurationFile)
    report["services"] = .object(services)
    report["left_out"] = .array(leftOutServices.map { .string($0.description) })
    if let haproxy { report["haproxy"] = .object(haproxy.status) }
    return .object(report)
  }

  private func status(of service: ServiceConfiguration) -> JSONObject {
    var status = JSONObject()
    status["discovery"] = .string(service.discovery.place)
    let heard = snapshot(of: service.name)
    status["heard_of"] = .bool(heard != nil)
    status["last_change"] = lastChange(of: service.name).map { .double($0) } ?? .null
    let live = heard?.backends ?? []
    let defaults = Set(service.rules.defaultServers.map(\.serverName))
    var servers = live.map { server -> JSONValue in
      StatusText.server(
        server, from: defaults.contains(server.serverName) ? "default_servers" : service.discovery.place)
    }
    if heard == nil {
      servers = rememberedBackends(of: service.name).map { StatusText.server($0, from: "memory") }
    }
    status["servers"] = .array(servers)
    return status
  }
}

extension DiscoveryConfiguration {
  /// Where its servers are registered, for an operator.
  var place: String {
    switch method {
    case .base: "default_servers"
    case .zookeeper(let zookeeper): "zookeeper \(zookeeper.hosts.joined(separator: ",")) \(zookeeper.path)"
    case .zookeeperDNS(let zookeeper, let dns):
      "zookeeper \(zookeeper.path) on \(dns.servers.map(\.host).joined(separator: ","))"
    case .dns(let dns): "dns \(dns.servers.map(\.host).joined(separator: ","))"
    case .file(let file): "file \(file.path)"
    case .etcd(let etcd): "etcd \(etcd.members.map { "\($0)" }.joined(separator: ",")) \(etcd.path)"
    case .docker(let docker): "docker \(docker.image) on \(docker.servers.map(\.host).joined(separator: ","))"
    case .marathon(let marathon): "marathon \(marathon.address)"
    case .ec2tag(let ec2): "ec2 \(ec2.region) \(ec2.tagName)=\(ec2.tagValue)"
    case .multi(let parts, _): parts.map { "\($0.name): \($0.discovery.place)" }.joined(separator: "; ")
    }
  }
}

extension HAProxyOutput {
  var status: JSONObject {
    var status = JSONObject()
    status["file"] = .string(configuration.filePath)
    status["file_is_current"] = .bool(!configuration.writesFile || fileRevision == revision)
    status["sockets"] = .array(
      sockets.map { socket in
        [
          "path": .string(socket.path), "pid": socket.pid.map { .int($0) } ?? .null,
          "version": socket.version.map { .string($0) } ?? .null, "is_in_agreement": .bool(socket.isInSync),
          "added_servers": .int(socket.addedServers), "drifts": .int(socket.drifts),
        ]
      })
    status["reload_needed_because"] = .array(reloadReasons.map { .string($0) })
    status["problems"] = .array(model.problems.map { .string($0.description) })
    status["reloads"] = .array(
      history.records.map { record in
        [
          "time": .double(record.at), "reason": .string(record.reason),
          "failure": record.failure.map { .string($0) } ?? .null, "seconds": .double(record.elapsed / .seconds(1)),
        ]
      })
    return status
  }
}
