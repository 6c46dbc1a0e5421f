internal import HAProxyConfigGen
internal import HAProxyRuntime
internal import Reactor
internal import SmartStack

extension StatusReport {
  /// Services that have figures of their own; with more of them, none has: each is five series on every host.
  private static let mostServices = 500

  /// Publishes the servers of each service by their states.
  /// - Parameter seen: HAProxy's statistics; nil: HAProxy does not answer.
  @LoopActor func publishServers(seen: StatsPage?, in metrics: Metrics) {
    metrics.removeAll("synapse_service_servers")
    guard services.count <= StatusReport.mostServices else { return }
    for service in services {
      let settings = service.configuration.haproxy
      var counts = (settings.isDisabled ? nil : seen?.counts[settings.backendSection]) ?? StatsPage.noServers
      counts["registered"] = (service.snapshot?.backends ?? service.remembered).count
      for (state, count) in counts {
        metrics.gauge(
          "synapse_service_servers", labels: ["service": service.configuration.name, "state": state],
          help: "Servers of a service: registered, and as HAProxy sees them."
        ).value = Double(count)
      }
    }
  }

  /// Adds figures for alerts about the agent as a whole; they are computed when they are asked for.
  @LoopActor static func publish(in metrics: Metrics, version: String, report: @escaping @LoopActor () -> StatusReport?)
  {
    metrics.gauge("synapse_build_info", labels: ["version": version], help: "1; the label is the program's version.")
      .value = 1
    metrics.onRender { metrics in
      guard let report = report() else { return }
      metrics.gauge("synapse_services_without_data", help: "Services whose registry has not answered yet.").value =
        Double(report.services.count { $0.snapshot == nil })
      metrics.gauge("synapse_services_without_servers", help: "Services that have no server at all.").value =
        Double(report.services.count { $0.snapshot?.backends.isEmpty == true })
      metrics.gauge(
        "synapse_services_preserved", help: "Services that keep servers which the registry does not hold."
      ).value = Double(report.services.count { $0.snapshot?.isPreserved == true })
      guard let haproxy = report.haproxy else { return }
      metrics.gauge(
        "synapse_haproxy_is_current", help: "1 while HAProxy and its file are as they are wanted, and no reload is due."
      ).value = haproxy.isCurrent ? 1 : 0
    }
  }
}
