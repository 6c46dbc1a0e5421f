internal import AgentRuntime
internal import Glibc
internal import Reactor
internal import SmartStack
internal import YAMLConfig

/// How configure_synapse is to run.
public struct ConfigureOptions: Sendable {
  /// What becomes of the new configuration.
  public enum Mode: Sendable, Equatable {
    case write
    /// Nothing is written, only said what would be done.
    case dryRun
    /// Nothing is written; the lines that would change are shown.
    case diff(inColor: Bool)
  }

  /// How synapse takes a change.
  public enum Reload: String, Sendable, CaseIterable {
    /// The commands of the tool's options; without any, SIGHUP to the synapse that runs, else a restart.
    case auto
    /// The commands, or `service synapse stop` and `start`.
    case restart
    /// Not at all.
    case none
  }

  public var mode = Mode.write
  public var reload = Reload.auto
  /// One file per location type, and `services/location_types.json`.
  public var locationDirectory = "/nail/etc"
  /// Where a running synapse keeps its lock.
  public var stateDirectory = "/run/synapse"
  /// Where metrics for node_exporter's textfile collector go; nil for none.
  public var metricsFile: String?
  /// What a file must be younger than while nothing changes, in seconds, in the resident mode.
  public var refreshInterval = 60

  /// A run that writes.
  public init() {}
}

/// Exit statuses of configure_synapse beside 0; the same as configure_nerve's.
enum ConfigureStatus {
  /// Nothing was written, or synapse could not be told.
  static let failed: Int32 = 1
  /// Written, but a service is not as its files say.
  static let incomplete: Int32 = 3
  /// Of a dry run: something would change.
  static let wouldChange: Int32 = 1
  /// Of a dry run: it cannot be said.
  static let unknown: Int32 = 2
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
    let (result, paths) = await ConfigureRun.make(inputs)
    var outcome = Outcome(status: 0, paths: paths)
    switch result {
    case .failure(let error):
      say("\(error)")
      say("nothing is written, the configuration in force stays as it is")
      outcome.status = isDry ? ConfigureStatus.unknown : ConfigureStatus.failed
    case .success(let made):
      report(made)
      do {
        outcome.hasChanged = try await apply(made)
        if isDry {
          outcome.status = outcome.hasChanged ? ConfigureStatus.wouldChange : 0
        } else if made.problems.contains(where: \.isFailure) {
          outcome.status = ConfigureStatus.incomplete
        }
      } catch {
        say("\(error)")
        outcome.status = isDry ? ConfigureStatus.unknown : ConfigureStatus.failed
      }
    }
    writeMetrics(try? result.get(), outcome)
    return outcome
  }

  private var isDry: Bool { options.mode != .write }

  private nonisolated static func make(
    _ inputs: ConfigureInputs
  ) async -> (Result<ConfigurationMaker.Result, ConfigError>, Set<String>) {
    do {
      return try await BlockingWork.run {
        var maker = ConfigurationMaker(inputs)
        let result = Result { () throws(ConfigError) in try maker.make() }
        return (result, maker.paths)
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
    let bytes = made.bytes
    if isDry { return try await compare(file, made) }
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

  private func compare(_ file: GeneratedFile, _ made: ConfigurationMaker.Result) async throws -> Bool {
    let before = try await BlockingWork.run { try file.current() }
    if before == made.bytes { return false }
    if case .diff(let inColor) = options.mode {
      let names = (file.path, file.path + " (new)")
      let text = try await BlockingWork.run {
        TextDiff.unified(
          before.map { String(decoding: $0, as: UTF8.self) }, made.text, names: names, inColor: inColor)
      }
      show(text)
    } else {
      show("\(file.path) would change, \(made.namespaceCount) namespaces; \(reloadPlan(made.options))\n")
    }
    return true
  }

  /// The gentlest that works: a running synapse of ours reads its file again and keeps its sessions, and HAProxy its
  /// connections. Commands that the options name are the operator's will and come first.
  private func reloadPlan(_ tool: ToolOptions) -> ReloadPlan {
    switch (options.reload, tool.restart) {
    case (.none, _): return .none
    case (_, .once(let words)): return .commands([words])
    case (_, .stopAndStart(let words)): return .commands([words + ["stop"], words + ["start"]])
    case (.auto, nil):
      let name = "synapse-\(StableHash.text(tool.haproxyConfigPath)).lock"
      let lock = StateDirectory.fileName(name, in: options.stateDirectory)
      if let pid = InstanceLock.owner(path: lock, program: "synapse") { return .signal(pid: pid) }
      return .restart
    case (.restart, nil): return .restart
    }
  }

  private func tellSynapse(_ tool: ToolOptions) async throws {
    let plan = reloadPlan(tool)
    // A synapse that ended since is started.
    if case .signal(let pid) = plan, kill(pid, SIGHUP) == 0 { return say("\(plan)") }
    for words in plan.commands { try await run(words) }
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

  /// Written after a run that failed, too: a host that cannot be configured must show.
  private func writeMetrics(_ made: ConfigurationMaker.Result?, _ outcome: Outcome) {
    guard let path = options.metricsFile, !isDry else { return }
    let metrics = Metrics()
    let set = { (name: String, value: Double, help: String) in
      metrics.gauge("configure_synapse_\(name)", help: help).value = value
    }
    set("success", outcome.status == 0 ? 1 : 0, "Whether the last run left nothing out.")
    set("last_run_timestamp_seconds", LoopClock.system.unixTime.rounded(), "When the last run ended.")
    if let made {
      set("namespaces", Double(made.namespaceCount), "Namespaces that were written.")
      set("left_out", Double(made.problems.count(where: \.isFailure)), "Services left out or kept as they were.")
      set(
        "warnings", Double(made.warnings.count + made.problems.count { !$0.isFailure }), "Warnings of the last run.")
    }
    do throws(FileError) {
      try AtomicFile.write(Array(metrics.render().utf8), to: path, mode: 0o644, sync: false)
    } catch {
      say("warning: \(error)")
    }
  }
}

/// How synapse learns of its new file.
enum ReloadPlan: Equatable, CustomStringConvertible {
  case none
  case signal(pid: Int32)
  /// Programs with their arguments, one after the other.
  case commands([[String]])
  case restart

  /// What is run when there is nobody to be signalled.
  var commands: [[String]] {
    switch self {
    case .none: []
    case .commands(let commands): commands
    case .signal, .restart: [["service", "synapse", "stop"], ["service", "synapse", "start"]]
    }
  }

  var description: String {
    switch self {
    case .none: "synapse is left alone"
    case .signal(let pid): "SIGHUP to synapse, pid \(pid)"
    case .commands, .restart: commands.map { "`\($0.joined(separator: " "))`" }.joined(separator: ", then ")
    }
  }
}

/// Synapse could not be told of its new file.
struct RestartFailure: Error, CustomStringConvertible {
  let description: String
}
