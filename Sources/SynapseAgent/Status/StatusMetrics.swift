internal import Reactor
internal import SmartStack

extension StatusReport {
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
      guard let haproxy = report.haproxy else { return }
      metrics.gauge(
        "synapse_haproxy_is_current", help: "1 while HAProxy and its file are as they are wanted, and no reload is due."
      ).value = haproxy.isCurrent ? 1 : 0
    }
  }
}
