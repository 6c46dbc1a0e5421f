internal import Reactor
internal import SmartStack

/// The agent's own metrics, each registered once.
@LoopActor final class NerveMetrics {
  let lateness: Histogram
  let transitions: Counter
  let throttled: Counter
  let registrations: Counter
  let deregistrations: Counter
  let reportFailures: Counter
  let skipped: Gauge
  private let reloads: Counter
  private let refusedReloads: Counter
  private let isLastReloadGood: Gauge
  private let passed: Counter
  private let failed: Counter
  let notMade: Counter
  private let elapsed: Histogram

  init(_ metrics: Metrics) {
    lateness = metrics.histogram(
      "nerve_check_lateness_seconds", help: "How long after its time a service's checks were started.")
    transitions = metrics.counter("nerve_transitions_total", help: "Verdicts reported to a registry.")
    throttled = metrics.counter(
      "nerve_throttled_total", help: "Verdicts that the rate limit held back, or would have in shadow mode.")
    registrations = metrics.counter("nerve_registrations_total", help: "Registrations that the registry confirmed.")
    deregistrations = metrics.counter(
      "nerve_deregistrations_total", help: "Registrations that were withdrawn and removed.")
    reportFailures = metrics.counter("nerve_report_failures_total", help: "Reports that the registry refused.")
    reloads = metrics.counter("nerve_reloads_total", help: "Configurations that were applied.")
    refusedReloads = metrics.counter(
      "nerve_refused_reloads_total", help: "Configurations that were rejected; the previous one stayed active.")
    isLastReloadGood = metrics.gauge(
      "nerve_last_reload_successful", help: "0 while the configuration's file is rejected and an older one is active.")
    isLastReloadGood.value = 1
    skipped = metrics.gauge("nerve_services_skipped", help: "Services whose configuration cannot be run.")
    let help = "Results of single checks."
    passed = metrics.counter("nerve_checks_total", labels: ["result": "passed"], help: help)
    failed = metrics.counter("nerve_checks_total", labels: ["result": "failed"], help: help)
    notMade = metrics.counter("nerve_checks_total", labels: ["result": "unknown"], help: help)
    elapsed = metrics.histogram("nerve_check_duration_seconds", help: "From the start of a check to its result.")
  }

  /// Counts a configuration that was applied or rejected.
  func reloaded(_ isGood: Bool) {
    (isGood ? reloads : refusedReloads).increment()
    isLastReloadGood.value = isGood ? 1 : 0
  }

  func count(_ result: CheckResult) {
    if result.passed { passed.increment() } else { failed.increment() }
    elapsed.observe(result.elapsed)
  }
}
