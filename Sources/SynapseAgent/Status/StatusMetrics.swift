internal import HAProxyConfigGen
internal import HAProxyRuntime
internal import SmartStack

/// What an alert asks of the agent as a whole.
extension Synapse {
  /// Adds the figures; they are read when they are asked for.
  func publishStatus(in metrics: Metrics) {
    let version = SynapseProgram.version.split(separator: " ").last.map(String.init) ?? ""
    metrics.gauge("synapse_build_info", labels: ["version": version], help: "1; the label is the program's version.")
      .value = 1
    metrics.onRender { [weak self] metrics in
      guard let self else { return }
      let heard = servedServices.map { snapshot(of: $0.name) }
      metrics.gauge("synapse_services_without_data", help: "Services whose registry has not answered yet.").value =
        Double(heard.count { $0 == nil })
      metrics.gauge("synapse_services_without_servers", help: "Services that have no server at all.").value =
        Double(heard.count { $0?.backends.isEmpty == true })
      guard let haproxy else { return }
      metrics.gauge(
        "synapse_haproxy_is_current", help: "1 while HAProxy and its file are as they are wanted, and no reload is due."
      ).value = haproxy.isCurrent ? 1 : 0
    }
  }
}

extension HAProxyOutput {
  /// Whether nothing is left to be done.
  var isCurrent: Bool {
    reloadReasons.isEmpty && (!configuration.writesFile || fileRevision == revision)
      && sockets.allSatisfy(\.isInSync)
  }
}
