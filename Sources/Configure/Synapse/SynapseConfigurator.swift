internal import AgentKit
internal import Glibc
public import Reactor
internal import SmartStack
internal import SynapseAgent
internal import YAMLConfig

/// configure_synapse: writes synapse's configuration from the services' smartstack.yaml files and this host's place, and
/// has synapse reload it.
@LoopActor public final class SynapseConfigurator {
  private let options: ConfigureSynapseOptions
  /// Receives lines for the operator.
  private let say: @LoopActor (String) -> Void
  /// Receives a diff for the operator.
  private let show: @LoopActor (String) -> Void
  /// Everything that the last run asked for, whether it was there or not.
  private var attemptedPaths: Set<String> = []
  /// Of the last run, for one that stays.
  private(set) var memory: ConfigureMemory?
  /// The last run's exit status.
  private(set) var status: Int32?

  /// Creates a configurator that has done nothing yet.
  /// - Parameter remembers: whether a run keeps what it read for the next one.
  public convenience init(options: ConfigureSynapseOptions, remembers: Bool = false) {
    var options = options
    options.apply(ProcessEnvironment.current)
    self.init(
      options: options, memory: remembers ? ConfigureMemory() : nil,
      say: { StandardOutput.say("configure_synapse: \($0)\n") }, show: StandardOutput.show)
  }

  init(
    options: ConfigureSynapseOptions, memory: ConfigureMemory? = nil, say: @escaping @LoopActor (String) -> Void,
    show: @escaping @LoopActor (String) -> Void
  ) {
    (self.options, self.memory, self.say, self.show) = (options, memory, say, show)
  }

  /// Stays, and runs when a file that was read changes; until SIGTERM or SIGINT. SIGHUP runs at once.
  public func watch() async {
    let loop = resident()
    let process = AgentProcess(onReload: { loop.lookAgain() }, onStop: { loop.stop() })
    await loop.run { process.ready() }
  }

  /// The loop of a configurator that stays.
  func resident() -> ResidentRun {
    ResidentRun(refresh: .seconds(options.refreshInterval), say: say) {
      await self.run()
      // A file of megabytes was built, and the current one read.
      ThisProcess.trimHeap()
      return self.attemptedPaths
    }
  }

  /// A run from beginning to end; what goes wrong is said, not thrown.
  /// - Returns: the exit status: 0; 1 when nothing was changed; 3 when a service is not as its files say. Of a dry run:
  ///   0 nothing would change, 1 something would, 2 unknown. And whether the file changed, or would.
  @discardableResult public func run() async -> (status: Int32, isChanged: Bool) {
    let start = LoopClock.system.now
    let result = await make()
    var (status, isChanged) = (options.mode.failure, false)
    switch result {
    case .failure(let error):
      say("\(error)")
      say("nothing is written, the current configuration stays as it is")
    case .success(let made):
      report(made)
      do {
        isChanged = try await apply(made)
        status = options.mode.status(isChanged: isChanged, isIncomplete: made.failureCount > 0)
      } catch {
        say("\(error)")
      }
    }
    writeFigures(try? result.get(), isSuccess: status == 0, since: start)
    self.status = status
    return (status, isChanged)
  }

  private func make() async -> Result<GeneratedSynapseConfiguration, ConfigError> {
    let (options, memory) = (options, memory)
    do {
      let (result, paths, newMemory) = try await BlockingWork.run {
        var maker = SynapseConfigurationMaker(options, memory: memory)
        let result = Result { () throws(ConfigError) in try maker.make() }
        return (result, maker.paths, maker.memory)
      }
      (attemptedPaths, self.memory) = (paths, newMemory)
      return result
    } catch {
      attemptedPaths = []
      return .failure(ConfigError(file: options.toolOptions, problem: "\(error)"))
    }
  }

  private func report(_ made: GeneratedSynapseConfiguration) {
    for warning in made.warnings { say("warning: \(warning)") }
    for line in made.problems.flatMap(\.lines) { say(line) }
    if let sentence = ToolOptions.bindProblem(made.options.bindAddress) { say("warning: \(sentence)") }
    if made.failureCount > 0 {
      let what = "\(made.shownCount) \(options.mode.isDry ? "would be written" : "are written")"
      say("\(what), \(made.failureCount.counted("service")) not as configured")
    }
  }

  // MARK: Writing

  /// - Returns: whether the file changed, or would.
  private func apply(_ made: GeneratedSynapseConfiguration) async throws -> Bool {
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
    case .missing: say("\(file.path) is new, with \(made.shownCount)")
    case .different: say("\(file.path) has changed, \(made.shownCount)")
    }
    if file.isPending {
      try await notifySynapse(made.options)
      try file.settle()
    }
    return standing != .same
  }

  private func compare(_ made: GeneratedSynapseConfiguration, with file: GeneratedFile) async throws -> Bool {
    let bytes = made.bytes
    if try await BlockingWork.run({ try file.standing(bytes) }) == .same { return false }
    if case .diff(let inColor) = options.mode {
      show(try await BlockingWork.run { file.diff(bytes, inColor: inColor) })
    } else {
      let parts = try await BlockingWork.run { file.changedParts(bytes) }
      show(parts.map { $0 + "\n" }.joined())
      show("\(file.path) would change, \(made.shownCount); \(describe(reloadPlan(made.options)))\n")
    }
    return true
  }

  /// The gentlest way that works: a running synapse of this package reads its file again and keeps its sessions, and HAProxy its
  /// connections. Commands that the options name are the operator's will and come first.
  /// - Returns: the process that gets SIGHUP, and the programs that are run one after the other when there is none.
  private func reloadPlan(_ tool: ToolOptions) -> (pid: Int32?, commands: [[String]]) {
    if options.reload == .none { return (nil, []) }
    if !tool.restartCommands.isEmpty { return (nil, tool.restartCommands) }
    let restart = [["service", "synapse", "stop"], ["service", "synapse", "start"]]
    guard options.reload == .auto else { return (nil, restart) }
    let name = SynapseProgram.lockName(forHAProxyFile: tool.haproxyConfigPath)
    let lock = StateDirectory.fileName(name, in: options.stateDirectory)
    return (InstanceLock.owner(path: lock, program: "synapse"), restart)
  }

  private func describe(_ plan: (pid: Int32?, commands: [[String]])) -> String {
    if let pid = plan.pid { return "SIGHUP to synapse, pid \(pid)" }
    if plan.commands.isEmpty { return "synapse is left alone" }
    return plan.commands.map { "`\($0.joined(separator: " "))`" }.joined(separator: ", then ")
  }

  private func notifySynapse(_ tool: ToolOptions) async throws {
    let plan = reloadPlan(tool)
    // A synapse that ended since is started.
    if let pid = plan.pid, kill(pid, SIGHUP) == 0 { return say(describe(plan)) }
    for words in plan.commands { try await runOperatorCommand(words) }
  }

  /// Written after a run that failed, too: a host that cannot be configured must show.
  private func writeFigures(
    _ made: GeneratedSynapseConfiguration?, isSuccess: Bool, since start: LoopClock.Instant
  ) {
    guard let path = options.metricsFile, !options.mode.isDry else { return }
    let figures = ConfigureFigures("configure_synapse", isSuccess: isSuccess, since: start)
    if let made {
      figures.set("namespaces", to: Double(made.namespaceCount), help: "Namespaces that were written.")
      figures.set("skipped", to: Double(made.failureCount), help: "Services skipped or kept as they were.")
      figures.set(
        "warnings", to: Double(made.warnings.count + made.problems.count - made.failureCount),
        help: "Warnings of the last run.")
    }
    do throws(FileError) { try figures.write(to: path) } catch { say("warning: \(error)") }
  }
}
