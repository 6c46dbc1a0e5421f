internal import Reactor
internal import SmartStack

/// What the HAProxy output counts.
@LoopActor final class Instruments {
  private let metrics: Metrics
  let fileWrites: Counter
  let problems: Gauge
  private let lastAct: Gauge
  private let start = ContinuousClock.now

  init(_ metrics: Metrics) {
    self.metrics = metrics
    fileWrites = metrics.counter("synapse_haproxy_file_writes_total", help: "Replacements of HAProxy's file.")
    problems = metrics.gauge("synapse_haproxy_problems", help: "Lines, servers and services that are left out.")
    lastAct = metrics.gauge(
      "synapse_haproxy_last_act_seconds", help: "When the sockets were last brought up to date, since the start.")
  }

  func checks(_ result: String) -> Counter {
    metrics.counter("synapse_haproxy_checks_total", ["result": result], help: "Checks of a candidate file.")
  }

  func reloads(_ result: String) -> Counter {
    metrics.counter("synapse_haproxy_reloads_total", ["result": result], help: "Reloads of HAProxy.")
  }

  func acted(at now: LoopClock.Instant) { lastAct.value = (now - start) / .seconds(1) }
}
