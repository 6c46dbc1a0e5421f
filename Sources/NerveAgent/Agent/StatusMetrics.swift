internal import SmartStack

/// What an alert asks of the agent as a whole.
extension Agent {
  /// Services that have figures of their own; with more of them, none has.
  private static let mostServices = 500

  /// Adds the figures; they are read when they are asked for.
  func publishStatus() {
    metrics.gauge(
      "nerve_build_info", labels: ["version": Release.version], help: "1; the label is the program's version."
    ).value = 1
    metrics.onRender { [weak self] metrics in
      self?.publishServices()
      var counts: [String: Int] = [:]
      for runner in self?.host?.services.runners.map(\.value) ?? [] {
        counts[runner.condition, default: 0] += 1
      }
      for (condition, word) in [("registered", "up"), ("down", "down"), ("drained", "drained"), ("pending", "pending")]
      {
        metrics.gauge("nerve_services", labels: ["state": condition], help: "Services by what became of them.")
          .value = Double(counts[word] ?? 0)
      }
    }
  }

  private func publishServices() {
    metrics.removeAll("nerve_service_up")
    let runners = host?.services.runners.values.map { $0 } ?? []
    guard runners.count <= Agent.mostServices else { return }
    for runner in runners {
      let service = runner.configuration
      metrics.gauge(
        "nerve_service_up", labels: ["service": service.name, "port": "\(service.port)"],
        help: "1 while the service is up and in the registry."
      ).value = runner.condition == "up" ? 1 : 0
    }
  }
}
