internal import Reactor
internal import SmartStack

/// Figures of one run of a tool, for node_exporter's textfile collector.
@LoopActor struct ConfigureFigures {
  private let metrics = Metrics()
  private let tool: String

  /// - Parameters:
  ///   - tool: begins every name: `configure_nerve`.
  ///   - isSuccess: whether nothing was skipped.
  ///   - start: when the run began.
  init(_ tool: String, isSuccess: Bool, since start: LoopClock.Instant, clock: LoopClock = .system) {
    self.tool = tool
    set("success", to: isSuccess ? 1 : 0, help: "Whether the last run skipped nothing.")
    set("last_run_timestamp_seconds", to: clock.unixTime.rounded(), help: "When the last run ended.")
    set("duration_seconds", to: (clock.now - start) / .seconds(1), help: "How long the last run took.")
  }

  func set(_ name: String, to value: Double, help: String) {
    metrics.gauge("\(tool)_\(name)", help: help).value = value
  }

  /// Replaces the file; the collector never sees half of it.
  func write(to path: String) throws(FileError) {
    try Files.write(Array(metrics.render().utf8), to: path, mode: 0o644, sync: false)
  }
}
