internal import AgentRuntime
internal import Glibc
internal import Reactor
internal import SmartStack
internal import Topology
internal import YAMLConfig

/// How configure_synapse is to run.
public struct ConfigureOptions: Sendable {
  /// Write nothing, only say which parts would change.
  public var isDryRun = false
  /// The same, with the lines.
  public var showsLines = false
  /// For a terminal.
  public var isColoured = false
  /// Where metrics for node_exporter's textfile collector go; nil for none.
  public var metricsFile: String?
  /// What a file must be younger than while nothing changes, in seconds, in the resident mode.
  public var refreshInterval = 60

  /// A run that writes.
  public init() {}
}

/// Exit statuses of configure_synapse beside 0.
enum ConfigureStatus {
  /// Nothing was written, or a service is not as its files say.
  static let failed: Int32 = 1
  /// A dry run that found changes.
  static let wouldChange: Int32 = 3
}

/// One run: read, make, compare, write, tell synapse.
@LoopActor struct ConfigureRun {
  let inputs: ConfigureInputs
  let options: ConfigureOptions
  /// Where lines for the operator go.
  let say: @LoopActor (String) -> Void
  /// Where a diff goes.
  let show: @LoopActor (String) -> Void
  /// How often the same command may take long.
  private static let commandDeadline: Duration = .seconds(300)

  /// What a run came to.
  struct Outcome {
    var status: Int32
    /// Everything that was asked for, whether it was there or not.
    var paths: Set<String>
    var hasChanged = false
  }

  /// A run from beginning to end; what goes wrong is said, not thrown.
  func perform() async -> Outcome {
    let inputs = inputs
    // The reader is this run's alone: it is handed out only when the work is done.
    let (result, paths) = await ConfigureRun.make(inputs)
    var outcome = Outcome(status: 0, paths: paths)
    switch result {
    case .failure(let error):
      say("\(error)")
      say("nothing is written, the configuration in force stays as it is")
      outcome.status = ConfigureStatus.failed
    case .success(let made):
      report(made)
      if made.problems.contains(where: \.isFailure) { outcome.status = ConfigureStatus.failed }
      do {
        outcome.hasChanged = try await apply(made)
        if options.isDryRun, outcome.hasChanged { outcome.status = max(outcome.status, ConfigureStatus.wouldChange) }
      } catch {
        say("\(error)")
        outcome.status = ConfigureStatus.failed
      }
      writeMetrics(made, outcome)
    }
    return outcome
  }

  private nonisolated static func make(
    _ inputs: ConfigureInputs
  ) async -> (Result<ConfigurationMaker.Result, ConfigError>, Set<String>) {
    do {
      return try await BlockingWork.run {
        let files = SourceFiles()
        var maker = ConfigurationMaker(inputs, files: files)
        let result = Result { () throws(ConfigError) in try maker.make() }
        return (result, files.paths)
      }
    } catch {
      return (.failure(ConfigError(file: inputs.toolOptions, problem: "\(error)")), [])
    }
  }

  private func report(_ made: ConfigurationMaker.Result) {
    for warning in made.warnings { say("warning: \(warning)") }
    for problem in made.problems { say(problem.description) }
    if let sentence = BindAddress.problem(made.options.bindAddress) { say("warning: \(sentence)") }
    let failures = made.problems.count(where: \.isFailure)
    if failures > 0 {
      say("\(made.namespaceCount) namespaces are written, \(failures) services or namespaces are not as they should be")
    }
  }

  // MARK: Writing

  /// - Returns: whether the file changed, or would.
  private func apply(_ made: ConfigurationMaker.Result) async throws -> Bool {
    let file = GeneratedFile(path: made.options.output)
    let bytes = Array(made.text.utf8)
    if options.isDryRun { return try await compare(file, bytes) }
    let change = try await BlockingWork.run { try file.update(bytes, before: try file.current()) }
    switch change {
    case .none: break
    case .made: say("\(file.path) is new, with \(made.namespaceCount) namespaces")
    case .replaced: say("\(file.path) has changed, \(made.namespaceCount) namespaces")
    }
    if file.isPending {
      try await tellSynapse(made.options)
      try file.settle()
    }
    if case .none = change { return false }
    return true
  }

  private func compare(_ file: GeneratedFile, _ bytes: [UInt8]) async throws -> Bool {
    let wholeLines = options.showsLines
    let isColoured = options.isColoured
    let (text, count) = try await BlockingWork.run {
      let before = try file.current()
      if before == bytes { return ("", 0) }
      guard let after = JSONValue(bytes) else { return ("", 0) }
      let diff = ConfigurationDiff(from: before.flatMap { JSONValue($0) }, to: after)
      return (diff.text(isWhole: wholeLines, isColoured: isColoured), diff.parts.count)
    }
    show(text)
    if count > 0 { say("\(file.path) would change in \(count) parts") }
    return count > 0
  }

  /// The commands of the options as they stand. Without any: a synapse of ours that reads this file is told to read it
  /// again, which keeps its sessions and HAProxy's connections; otherwise the service is restarted, as ever.
  private func tellSynapse(_ options: ToolOptions) async throws {
    switch options.restart {
    case .once(let words): try await run(words)
    case .stopAndStart(let words):
      try await run(words + ["stop"])
      try await run(words + ["start"])
    case nil:
      let lock = "synapse-\(StableHash.text(options.haproxyConfigPath)).lock"
      if let path = StateDirectory(configured: nil, agent: "synapse").path(for: lock),
        let agent = RunningAgent(lockPath: path, configuration: options.output), agent.reload()
      {
        return say("synapse, pid \(agent.pid), reads it again (SIGHUP)")
      }
      try await run(["service", "synapse", "stop"])
      try await run(["service", "synapse", "start"])
    }
  }

  private func run(_ words: [String]) async throws {
    guard let program = words.first else { return }
    let command = words.joined(separator: " ")
    let result: ChildResult
    do {
      result = try await ChildProcess.run(program, Array(words.dropFirst()), deadline: ConfigureRun.commandDeadline)
    } catch {
      throw RestartFailure(description: "`\(command)` cannot be run: \(error); the next run tries again")
    }
    guard result.status != .exited(0) else { return }
    let lines = String(decoding: result.errorOutput + result.output, as: UTF8.self).split(separator: "\n")
    throw RestartFailure(
      description:
        "`\(command)` failed (\(result.status))\(lines.last.map { ": \($0)" } ?? ""); the next run tries again")
  }

  private func writeMetrics(_ made: ConfigurationMaker.Result, _ outcome: Outcome) {
    guard let path = options.metricsFile, !options.isDryRun else { return }
    let metrics = Metrics()
    let prefix = "configure_synapse_"
    metrics.gauge(prefix + "namespaces", help: "Namespaces that were written.").value = Double(made.namespaceCount)
    metrics.gauge(prefix + "problems", help: "Services or namespaces that are not as they should be.").value = Double(
      made.problems.count(where: \.isFailure))
    metrics.gauge(prefix + "warnings", help: "Warnings of the last run.").value = Double(
      made.warnings.count + made.problems.count { !$0.isFailure })
    metrics.gauge(prefix + "success", help: "Whether the last run had nothing to complain of.").value =
      outcome.status == 0 ? 1 : 0
    metrics.gauge(prefix + "last_run_timestamp_seconds", help: "When the last run ended.").value =
      LoopClock.system.unixTime.rounded()
    do throws(FileError) {
      try AtomicFile.write(Array(metrics.render().utf8), to: path, mode: 0o644, sync: false)
    } catch {
      say("warning: \(error)")
    }
  }
}

/// Synapse could not be told of its new file.
struct RestartFailure: Error, CustomStringConvertible {
  let description: String
}
