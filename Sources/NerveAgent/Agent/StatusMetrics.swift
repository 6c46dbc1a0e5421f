internal import Registry
internal import SmartStack

/// What an alert asks of the agent as a whole.
extension Agent {
  /// Adds the figures; they are read when they are asked for.
  func publishStatus() {
    metrics.gauge(
      "nerve_build_info", labels: ["version": Release.version], help: "1; the label is the program's version."
    ).value = 1
    metrics.onRender { [weak self] metrics in
      var counts: [String: Int] = [:]
      for runner in self?.host?.services.runners.map(\.value) ?? [] {
        counts[Agent.condition(of: runner), default: 0] += 1
      }
      for condition in ["registered", "down", "drained", "pending"] {
        metrics.gauge("nerve_services", labels: ["state": condition], help: "Services by what became of them.")
          .value = Double(counts[condition] ?? 0)
      }
    }
  }

  /// An operator's word before the checks' verdict, that before the registry's answer.
  private static func condition(of runner: ServiceRunner) -> String {
    if runner.isDrained { return "drained" }
    if runner.reported == .down { return "down" }
    if case .settled(.up, place: .some) = runner.registrar.state { return "registered" }
    return "pending"
  }
}
