internal import Glibc
public import Reactor
internal import SmartStack
internal import YAMLConfig

/// configure_nerve: makes `nerve.conf.json` of what runs on this host, and has nerve reload it.
@LoopActor public final class NerveConfigurator {
  /// What a run has to say, and how it ended.
  public struct Outcome: Equatable, Sendable {
    /// For the standard output.
    public var output = ""
    /// Lines for the standard error, without line breaks.
    public var problems: [String] = []
    /// 0: all is well. 1: nothing was changed. 3: written, but something was skipped. With `diff` and `dryRun`:
    /// 0 nothing would change, 1 something would, 2 unknown.
    public var status: Int32 = 0
  }

  let options: ConfigureNerveOptions
  private let clock: LoopClock
  /// What the last configuration was made of, even if that failed.
  private(set) var attemptedPaths: Set<String> = []

  /// Of the last run, for one that stays.
  private(set) var memory:
    (
      documents: [String: (stamp: FileStamp, document: YAMLDocument)],
      accepted: (host: HostIdentity, entries: JSONObject)?
    )?
  /// How long a file must have been left alone to be remembered.
  var settling = FileStamp.settling
  private var identity: (host: HostIdentity, at: LoopClock.Instant)?

  /// A restart of nerve that a run which stays has begun: it takes a minute, and no run waits for it.
  private var restart: Task<Void, Never>?
  private var restartFailure: (any Error)?
  /// Number of files that were put in place; what came during a restart nerve may not have read.
  private var changes = 0
  var onRestartEnd: @LoopActor () -> Void = {}

  /// A name server is not asked for this host's address with every event.
  static let identityAge = Duration.seconds(30)

  /// Creates a configurator that has done nothing yet.
  /// - Parameter remembers: whether a run keeps what it read for the next one.
  public init(options: ConfigureNerveOptions, clock: LoopClock = .system, remembers: Bool = false) {
    self.options = options
    self.clock = clock
    memory = remembers ? ([:], nil) : nil
  }

  /// One run, from sources to nerve.
  public func run(_ mode: ConfigureMode) async -> Outcome {
    let start = clock.now
    do {
      let (reader, early) = try await reader()
      var answers: [SourceAnswer] = []
      for source in options.inputs.sources { answers.append(try await reader.ask(source)) }
      return try await run(mode, on: answers, host: reader.host, early: early, since: start)
    } catch {
      let problems = mode.isDry ? [] : writeFigures(nil, isSuccess: false, since: start)
      return Outcome(problems: ["\(error)"] + problems, status: mode.failure)
    }
  }

  /// Prints the list of local services, and does nothing with it.
  public func dumpLocalServices() async -> Outcome {
    do { return try await dump() } catch { return Outcome(problems: ["\(error)"], status: 1) }
  }

  // MARK: Reading

  /// Makes the configuration of what the sources answered, and does with it what the mode says.
  /// - Parameter isStale: whether a source did not answer this time, so that its last answer stands for it.
  func run(
    _ mode: ConfigureMode, on answers: [SourceAnswer], host: HostIdentity, early: Set<String>,
    isStale: Bool = false, since start: LoopClock.Instant
  ) async throws -> Outcome {
    let candidate = try await candidate(of: answers, host: host, early)
    var outcome = try await finish(candidate, as: mode)
    if !mode.isDry {
      outcome.problems += writeFigures(candidate, isSuccess: outcome.status == 0 && !isStale, since: start)
    }
    return outcome
  }

  /// Makes the configuration of what the sources answered.
  private func candidate(
    of answers: [SourceAnswer], host: HostIdentity, _ early: Set<String>
  ) async throws -> GeneratedNerveConfiguration {
    let listeners = try await EnvoyListeners.ask(adminPort: options.inputs.envoyAdminPort)
    let (options, sources, memory, settling) = (options, options.inputs.sources, memory, settling)
    let (result, files) = try await BlockingWork.run {
      let files = SourceFiles(memory: memory?.documents ?? [:], settling: settling)
      let previous = try? Files.read(options.outputs.nerveConfigPath, limit: SourceReader.longestAnswer)
      let maker = NerveConfigurationMaker(
        options: options, host: host, listeners: listeners, previous: previous,
        accepted: memory?.accepted)
      let result = Result {
        let local = try maker.localServices(
          of: Array(zip(sources, answers)).map { (source: $0, answer: $1) }, files: files)
        return try maker.make(local, files: files)
      }
      return (result, (paths: files.paths, memory: files.memory))
    }
    attemptedPaths = files.paths.union(early)
    let candidate = try result.get()
    if memory != nil { self.memory = (files.memory, (host, candidate.entries)) }
    return candidate
  }

  /// A reader of sources, and the files that were read to make it.
  func reader() async throws -> (SourceReader, Set<String>) {
    let options = options
    let remembered = identity.flatMap { clock.now - $0.at < NerveConfigurator.identityAge ? $0.host : nil }
    let (host, tasks, paths) = try await BlockingWork.run {
      let files = SourceFiles()
      var tasks: (cluster: String?, schedulers: Set<TaskScheduler>) = (nil, [])
      if options.inputs.sources.contains(where: \.isMesos) {
        tasks = try files.clusterOfTasks(in: options.inputs.paastaDir)
      }
      var paths = files.paths
      for case .file(let path) in options.inputs.sources { paths.insert(path) }
      return (remembered ?? HostIdentity.look(address: options.inputs.hostAddress), tasks, paths)
    }
    if remembered == nil, host.address != nil { identity = (host, clock.now) }
    return (SourceReader(host: host, cluster: tasks.cluster, schedulers: tasks.schedulers), paths)
  }

  private func dump() async throws -> Outcome {
    let (reader, _) = try await reader()
    var answers: [(source: ServicesSource, answer: SourceAnswer)] = []
    for source in options.inputs.sources { answers.append((source, try await reader.ask(source))) }
    let maker = NerveConfigurationMaker(options: options, host: reader.host, listeners: EnvoyListeners())
    let asked = answers
    let local = try await BlockingWork.run { try maker.localServices(of: asked, files: SourceFiles()) }
    return Outcome(
      output: local.list.text() + "\n", problems: local.remarks.flatMap(\.lines),
      status: local.remarks.contains(where: \.isFailure) ? 3 : 0)
  }

  // MARK: Acting

  /// Does with the configuration what the mode says.
  private func finish(_ made: GeneratedNerveConfiguration, as mode: ConfigureMode) async throws -> Outcome {
    var outcome = Outcome(problems: made.lines)
    let bytes = made.bytes
    let file = GeneratedFile(path: options.outputs.nerveConfigPath)
    // One that cannot be read is replaced.
    let standing = (try? await BlockingWork.run { try file.standing(bytes) }) ?? .different
    let isChanged = standing != .same
    let reloader = NerveReloader(options: options, instanceID: made.host.name, clock: clock)
    var step = reloader.plan(isChanged: isChanged || file.isPending)
    if case .restart = step, restart != nil { step = .wait }
    switch mode {
    case .diff(let inColor):
      outcome.output = try await BlockingWork.run { file.diff(bytes, inColor: inColor) }
    case .dryRun:
      outcome.output = "\(summary(made, isChanged: isChanged, verb: "would change")); \(step)\n"
    case .write:
      do {
        try await put(bytes, in: file, standing: standing)
        if isChanged { changes += 1 }
        try await notify(by: step, of: file, with: reloader)
      } catch {
        // What is wrong with the services is said all the same.
        outcome.problems.append("\(error)")
        outcome.status = mode.failure
        return outcome
      }
      if isChanged || made.failureCount > 0 || step != .nothing {
        outcome.output = "\(summary(made, isChanged: isChanged, verb: "changed")); \(step)\n"
      }
    }
    outcome.status = mode.status(isChanged: isChanged, isIncomplete: made.failureCount > 0)
    return outcome
  }

  /// Has nerve read the file. What failed since the last run fails this one; the next one tries again.
  private func notify(by step: NerveReloader.Step, of file: GeneratedFile, with reloader: NerveReloader) async throws {
    if let failure = restartFailure {
      restartFailure = nil
      throw failure
    }
    if step == .wait { return }
    guard memory != nil, case .restart = step else {
      try await reloader.run(step)
      if file.isPending { try file.settle() }
      return
    }
    restart = Task { @LoopActor [changes] in
      do {
        try await reloader.run(step)
        if changes == self.changes, file.isPending { try file.settle() }
      } catch {
        restartFailure = error
      }
      restart = nil
      onRestartEnd()
    }
  }

  /// Returns when no restart of nerve is under way.
  func restartEnds() async { await restart?.value }

  private func summary(_ made: GeneratedNerveConfiguration, isChanged: Bool, verb: String) -> String {
    let skipped = made.failureCount == 0 ? "" : ", \(made.failureCount) not as configured"
    let file =
      isChanged ? "\(options.outputs.nerveConfigPath) \(verb)" : "\(options.outputs.nerveConfigPath) is up to date"
    let registrations = made.entries.count.counted("registration")
    return "\(made.serviceCount.counted("local service")), \(registrations)\(skipped); \(file)"
  }

  /// Puts the file in place, after the program that was asked for had a look at it. What is there already is only
  /// touched: monitoring goes by the file's age.
  private func put(_ bytes: [UInt8], in file: GeneratedFile, standing: GeneratedFile.Standing) async throws {
    let (path, touches) = (options.outputs.nerveConfigPath, options.touchesUnchanged)
    if standing == .same, !touches { return }
    guard let executable = options.outputs.nerveExecutablePath else {
      return try await BlockingWork.run {
        try file.update(with: bytes, standing: standing, touches: touches, sync: false)
      }
    }
    let candidate = path + ".tmp"
    try await BlockingWork.run { try Files.write(bytes, to: candidate, mode: 0o644, sync: false) }
    let result: ChildResult
    do {
      result = try await ChildProcess.run(executable, arguments: ["-c", candidate, "-k"], deadline: .seconds(60))
    } catch let error as FileError {
      throw OperatorError("\(error); \(path) stays as it was")
    }
    guard result.status == .exited(0) else {
      throw OperatorError(
        "`\(executable) -c \(candidate) -k` refuses the new configuration with \(result.status)\(result.lastWords); "
          + "\(path) stays as it was")
    }
    if standing != .same { try file.announce() }
    guard rename(candidate, path) == 0 else { throw FileError("rename", path: candidate, code: errno) }
  }

  // MARK: Figures

  /// Written after a run that failed, too: a host that cannot be configured must show.
  /// - Returns: what went wrong with the file of figures.
  func writeFigures(
    _ made: GeneratedNerveConfiguration?, isSuccess: Bool, since start: LoopClock.Instant
  ) -> [String] {
    guard let path = options.outputs.metricsFile else { return [] }
    let figures = ConfigureFigures("configure_nerve", isSuccess: isSuccess, since: start, clock: clock)
    if let made {
      figures.set("local_services", to: Double(made.serviceCount), help: "Services that the sources listed.")
      figures.set("registrations", to: Double(made.entries.count), help: "Entries of nerve's configuration.")
      figures.set("skipped", to: Double(made.failureCount), help: "Services skipped or kept as they were.")
    }
    do throws(FileError) { try figures.write(to: path) } catch { return ["warning: \(error)"] }
    return []
  }
}

extension ServicesSource {
  var isMesos: Bool { if case .mesos = self { true } else { false } }
}
