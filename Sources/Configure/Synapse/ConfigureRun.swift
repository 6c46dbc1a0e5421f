internal import AgentKit
internal import Glibc
internal import Reactor
internal import SynapseAgent
internal import YAMLConfig

/// How configure_synapse is to run.
public struct ConfigureSynapseOptions: Sendable {
  /// How synapse takes a change.
  public enum Reload: String, Sendable, CaseIterable {
    /// The commands of the tool's options; without any, SIGHUP to the synapse that runs, else a restart.
    case auto
    /// The commands, or `service synapse stop` and `start`.
    case restart
    /// The agent is not notified.
    case none
  }

  /// What becomes of the new configuration.
  public var mode = ConfigureMode.write
  /// How synapse is told.
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

/// One run: read, make, compare, write, tell synapse.
@LoopActor struct ConfigureRun {
  let inputs: ConfigureInputs
  let options: ConfigureSynapseOptions
  /// Where lines for the operator go.
  let say: @LoopActor (String) -> Void
  /// Where a diff goes.
  let show: @LoopActor (String) -> Void

  /// What a run came to.
  struct Outcome {
    var status: Int32
    /// Everything that was asked for, whether it was there or not.
    var paths: Set<String>
    var hasChanged = false
    /// For the next run.
    var memory: ConfigureMemory?
  }

  /// A run from beginning to end; what goes wrong is said, not thrown.
  /// - Parameter memory: of the run before; nil when there is no next one.
  func perform(_ memory: ConfigureMemory? = nil) async -> Outcome {
    let start = LoopClock.system.now
    let (result, paths, memory) = await ConfigureRun.make(of: inputs, memory: memory)
    var outcome = Outcome(status: 0, paths: paths, memory: memory)
    switch result {
    case .failure(let error):
      say("\(error)")
      say("nothing is written, the configuration in force stays as it is")
      outcome.status = options.mode.failure
    case .success(let made):
      report(made)
      do {
        outcome.hasChanged = try await apply(made)
        outcome.status = options.mode.status(
          isChanged: outcome.hasChanged, isIncomplete: made.problems.contains(where: \.isFailure))
      } catch {
        say("\(error)")
        outcome.status = options.mode.failure
      }
    }
    writeFigures(try? result.get(), outcome: outcome, since: start)
    return outcome
  }

  private nonisolated static func make(
    of inputs: ConfigureInputs, memory: ConfigureMemory?
  ) async -> (Result<ConfigurationMaker.Result, ConfigError>, Set<String>, ConfigureMemory?) {
    do {
      return try await BlockingWork.run {
        var maker = ConfigurationMaker(inputs, memory: memory)
        let result = Result { () throws(ConfigError) in try maker.make() }
        return (result, maker.paths, maker.memory)
      }
    } catch {
      return (.failure(ConfigError(file: inputs.toolOptions, problem: "\(error)")), [], memory)
    }
  }

  private func report(_ made: ConfigurationMaker.Result) {
    for warning in made.warnings { say("warning: \(warning)") }
    for line in made.problems.flatMap(\.lines) { say(line) }
    if let sentence = BindAddress.problem(made.options.bindAddress) { say("warning: \(sentence)") }
    let failures = made.problems.count(where: \.isFailure)
    if failures > 0 {
      let what = "\(made.namespaceCount.of("namespace")) \(options.mode.isDry ? "would be written" : "are written")"
      say("\(what), \(failures.of("service")) not as configured")
    }
  }

  // MARK: Writing

  /// - Returns: whether the file changed, or would.
  private func apply(_ made: ConfigurationMaker.Result) async throws -> Bool {
    let file = GeneratedFile(path: made.options.output)
    let bytes = made.bytes
    if options.mode.isDry { return try await compare(made, with: file) }
    let standing = try await BlockingWork.run {
      let standing = try file.standing(bytes)
      try file.update(with: bytes, standing: standing)
      return standing
    }
    switch standing {
    case .same: break
    case .missing: say("\(file.path) is new, with \(made.namespaceCount.of("namespace"))")
    case .different: say("\(file.path) has changed, \(made.namespaceCount.of("namespace"))")
    }
    if file.isPending {
      try await tellSynapse(made.options)
      try file.settle()
    }
    return standing != .same
  }

  private func compare(_ made: ConfigurationMaker.Result, with file: GeneratedFile) async throws -> Bool {
    let bytes = made.bytes
    if try await BlockingWork.run({ try file.standing(bytes) }) == .same { return false }
    if case .diff(let inColor) = options.mode {
      show(try await BlockingWork.run { file.diff(bytes, inColor: inColor) })
    } else {
      let parts = try await BlockingWork.run { ChangedParts.lines(from: file.current, to: bytes) }
      show(parts.map { $0 + "\n" }.joined())
      show("\(file.path) would change, \(made.namespaceCount.of("namespace")); \(reloadPlan(made.options))\n")
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
      let name = SynapseProgram.lockName(forHAProxyFile: tool.haproxyConfigPath)
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
    for words in plan.commands { try await OperatorCommand.run(words) }
  }

  /// Written after a run that failed, too: a host that cannot be configured must show.
  private func writeFigures(
    _ made: ConfigurationMaker.Result?, outcome: Outcome, since start: LoopClock.Instant
  ) {
    guard let path = options.metricsFile, !options.mode.isDry else { return }
    let figures = ConfigureFigures("configure_synapse", isSuccess: outcome.status == 0, since: start)
    if let made {
      let leftOut = made.problems.count(where: \.isFailure)
      figures.set("namespaces", to: Double(made.namespaceCount), help: "Namespaces that were written.")
      figures.set("skipped", to: Double(leftOut), help: "Services skipped or kept as they were.")
      figures.set(
        "warnings", to: Double(made.warnings.count + made.problems.count - leftOut), help: "Warnings of the last run.")
    }
    do throws(FileError) { try figures.write(to: path) } catch { say("warning: \(error)") }
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
