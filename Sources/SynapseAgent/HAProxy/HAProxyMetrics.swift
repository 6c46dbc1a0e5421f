internal import AgentKit
internal import Reactor
internal import SmartStack

/// Figures of the HAProxy output, for Prometheus and for upstream's StatsD names.
@LoopActor final class HAProxyMetrics {
  private let statsd: StatsD?
  let fileWrites: Counter
  let drifts: Counter
  let problems: Gauge
  let oldWorkers: Gauge
  private let lastSync: Gauge
  private let reloads: [String: Counter]
  private let checks: [String: Counter]
  private let endedWorkers: [String: Counter]

  init(_ metrics: Metrics, statsd: StatsD?) {
    self.statsd = statsd
    fileWrites = metrics.counter("synapse_haproxy_file_writes_total", help: "Replacements of HAProxy's file.")
    drifts = metrics.counter(
      "synapse_haproxy_drifts_total", help: "Changes of HAProxy or of its file by another program.")
    problems = metrics.gauge("synapse_haproxy_problems", help: "Lines, servers and services that are skipped.")
    oldWorkers = metrics.gauge(
      "synapse_haproxy_old_workers", help: "Replaced HAProxy processes that still have connections.")
    lastSync = metrics.gauge(
      "synapse_haproxy_last_sync_timestamp_seconds", help: "When the sockets were last brought up to date.")
    // Every label from the start, at 0: a counter that appears with its first event has no rate for that event.
    reloads = ["good", "failed"].reduce(into: [:]) {
      $0[$1] = metrics.counter("synapse_haproxy_reloads_total", labels: ["result": $1], help: "Reloads of HAProxy.")
    }
    checks = ["good", "refused", "unknown"].reduce(into: [:]) {
      $0[$1] = metrics.counter(
        "synapse_haproxy_checks_total", labels: ["result": $1], help: "Checks of a candidate file.")
    }
    endedWorkers = ["age", "count"].reduce(into: [:]) {
      $0[$1] = metrics.counter(
        "synapse_haproxy_old_workers_ended_total", labels: ["limit": $1],
        help: "Replaced HAProxy processes that were ended.")
    }
  }

  /// Counts the check of a candidate file; `result` is `good`, `refused` or `unknown`.
  func countCheck(_ result: String) {
    checks[result]?.increment()
    statsd?.increment("synapse.haproxy.check_config", tags: ["status:\(result == "good")"])
  }

  /// Counts a new file that could not be put in place.
  func countFailedUpdate() { statsd?.increment("synapse.config.update_failed", tags: ["config_name:haproxy"]) }

  func countReload(isGood: Bool) {
    reloads[isGood ? "good" : "failed"]?.increment()
    if !isGood { statsd?.increment("synapse.haproxy.reload_failed") }
  }

  /// Counts a replaced process that was beyond a limit: `age` or `count`.
  func countEndedWorker(beyond limit: String) { endedWorkers[limit]?.increment() }

  /// Records when the sockets were last brought up to date.
  func recordSync(at unixTime: Double) { lastSync.value = unixTime }
}
