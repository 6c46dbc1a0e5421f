internal import AgentKit
internal import Reactor
internal import SmartStack

/// What the HAProxy output counts.
@LoopActor final class Instruments {
  private let statsd: StatsD?
  let fileWrites: Counter
  let problems: Gauge
  let oldWorkers: Gauge
  private let lastAct: Gauge
  private let reloads: [String: Counter]
  private let checks: [String: Counter]
  private let endedWorkers: [String: Counter]
  private let start = ContinuousClock.now

  init(_ metrics: Metrics, statsd: StatsD?) {
    self.statsd = statsd
    fileWrites = metrics.counter("synapse_haproxy_file_writes_total", help: "Replacements of HAProxy's file.")
    problems = metrics.gauge("synapse_haproxy_problems", help: "Lines, servers and services that are left out.")
    oldWorkers = metrics.gauge(
      "synapse_haproxy_old_workers", help: "Replaced HAProxy processes that still have connections.")
    lastAct = metrics.gauge(
      "synapse_haproxy_last_act_seconds", help: "When the sockets were last brought up to date, since the start.")
    // From the start at 0: of a counter that appears with its first event, no rate shows that event.
    reloads = ["good", "failed"].reduce(into: [:]) { reloads, result in
      reloads[result] = metrics.counter(
        "synapse_haproxy_reloads_total", labels: ["result": result], help: "Reloads of HAProxy.")
    }
    checks = ["good", "refused", "unknown"].reduce(into: [:]) { checks, result in
      checks[result] = metrics.counter(
        "synapse_haproxy_checks_total", labels: ["result": result], help: "Checks of a candidate file.")
    }
    endedWorkers = ["age", "count"].reduce(into: [:]) { ended, limit in
      ended[limit] = metrics.counter(
        "synapse_haproxy_old_workers_ended_total", labels: ["limit": limit],
        help: "Replaced HAProxy processes that were ended.")
    }
  }

  /// A candidate file was checked; `result` is `good`, `refused` or `unknown`.
  func checked(_ result: String) {
    checks[result]?.increment()
    statsd?.increment("synapse.haproxy.check_config", tags: ["status:\(result == "good")"])
  }

  /// A new file could not be put in place.
  func updateFailed() { statsd?.increment("synapse.config.update_failed", tags: ["config_name:haproxy"]) }

  /// HAProxy was, or was not, reloaded.
  func reloaded(_ isGood: Bool) {
    reloads[isGood ? "good" : "failed"]?.increment()
    if !isGood { statsd?.increment("synapse.haproxy.reload_failed") }
  }

  /// A replaced process was beyond a limit: `age` or `count`.
  func endedOldWorker(_ limit: String) { endedWorkers[limit]?.increment() }

  func acted(at now: LoopClock.Instant) { lastAct.value = (now - start) / .seconds(1) }
}
