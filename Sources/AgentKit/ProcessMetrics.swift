internal import Reactor
public import SmartStack

extension Metrics {
  /// Adds what the process costs, under the names that every Prometheus client library uses; read with each rendering.
  public func addProcessMetrics() {
    onRender { metrics in
      let now = ProcessStatistics.current()
      metrics.counter("process_cpu_seconds_total", help: "User and system time since the start.").raise(
        to: now.cpuSeconds)
      let gauges: [(name: String, value: Double, help: String)] = [
        ("process_resident_memory_bytes", Double(now.residentBytes), "Resident memory."),
        ("process_open_fds", Double(now.openDescriptors), "Open descriptors."),
        ("process_max_fds", Double(now.descriptorLimit), "Descriptors the process may have open."),
        ("process_threads", Double(now.threads), "Threads."),
        ("process_start_time_seconds", now.startTime, "When the process started, in seconds since 1970."),
      ]
      for gauge in gauges { metrics.gauge(gauge.name, help: gauge.help).value = gauge.value }
    }
  }
}
