internal import Registry
internal import SmartStack

/// What an alert asks of the agent as a whole.
extension Agent {
  /// What a service counts as.
  enum ServiceCondition: String, CaseIterable {
    case registered, down, drained, pending
  }

  /// Adds the figures; they are read when they are asked for.
  func publishStatus() {
    metrics.gauge(
      "nerve_build_info", labels: ["version": Release.version], help: "1; the label is the program's version."
    )
    .value =
      1
    metrics.onRender { [weak self] metrics in
      var counts: [ServiceCondition: Int] = [:]
      for runner in self?.host?.services.runners.map(\.value) ?? [] {
        counts[Agent.condition(of: runner), default: 0] += 1
      }
      for condition in ServiceCondition.allCases {
        metrics.gauge("nerve_services", labels: ["state": condition.rawValue], help: "Services by what became of them.")
          .value =
          Double(counts[condition] ?? 0)
      }
    }
  }

  /// An operator's word before the checks' verdict, that before the registry's answer.
  static func condition(of runner: ServiceRunner) -> ServiceCondition {
    if runner.isDrained { return .drained }
    if runner.reported == .down { return .down }
    if case .settled(.up, place: .some) = runner.registrar.state { return .registered }
    return .pending
  }
}
