internal import AgentRuntime
internal import Glibc
public import Reactor
internal import SmartStack
internal import Topology
internal import YAMLConfig

/// configure_nerve: makes `nerve.conf.json` of what runs on this host, and makes nerve take it.
@LoopActor public final class NerveConfigurator {
  /// What a run has to say, and how it ended.
  public struct Outcome: Equatable, Sendable {
    /// For the standard output.
    public var output = ""
    /// Lines for the standard error, without line breaks.
    public var problems: [String] = []
    /// 0: all is well. 1: nothing was changed. 3: written, but something was left out. With `diff` and `dryRun`:
    /// 0 nothing would change, 1 something would, 2 it cannot be said.
    public var status: Int32 = 0
  }

  /// What is done with the candidate.
  public enum Mode: Sendable {
    /// Written, and nerve told.
    case write
    /// Compared with the file in force, line by line.
    case diff(inColor: Bool)
    /// Told in a sentence.
    case dryRun
    /// Not made: only the list of local services is printed.
    case dumpLocalServices
  }

  let options: ConfigureOptions
  private let clock: LoopClock
  /// What the last candidate was made of, even if that failed.
  private(set) var attemptedPaths: Set<String> = []

  private var identity: (host: HostIdentity, at: LoopClock.Instant)?

  /// A name server is not asked for this host's address with every event.
  static let identityAge = Duration.seconds(30)

  /// One that has done nothing yet.
  public init(options: ConfigureOptions, clock: LoopClock = .system) {
    self.options = options
    self.clock = clock
  }

  /// One run, from sources to nerve.
  public func run(_ mode: Mode) async -> Outcome {
    let start = clock.now
    var outcome: Outcome
    do {
      if case .dumpLocalServices = mode { return try await dump() }
      let candidate = try await prepare()
      outcome = try await finish(candidate, mode)
      if case .write = mode { try writeMetrics(candidate, outcome, since: start) }
    } catch {
      outcome = failed(error, mode)
      if case .write = mode { try? writeMetrics(nil, outcome, since: start) }
    }
    return outcome
  }

  private func failed(_ error: any Error, _ mode: Mode) -> Outcome {
    var outcome = Outcome(problems: ["\(error)"], status: 1)
    switch mode {
    case .write, .dumpLocalServices: break
    case .diff, .dryRun: outcome.status = 2
    }
    return outcome
  }

  // MARK: Reading

  /// Asks every source and makes the candidate.
  private func prepare() async throws -> Candidate {
    let (reader, early) = try await reader()
    var answers: [SourceAnswer] = []
    for source in options.sources { answers.append(try await reader.ask(source)) }
    return try await candidate(of: answers, host: reader.host, early)
  }

  /// Makes the candidate of what the sources answered, and puts it in place.
  func write(
    _ answers: [SourceAnswer], host: HostIdentity, _ early: Set<String>
  ) async throws -> (Candidate, Outcome) {
    let start = clock.now
    do {
      let candidate = try await candidate(of: answers, host: host, early)
      let outcome = try await finish(candidate, .write)
      try writeMetrics(candidate, outcome, since: start)
      return (candidate, outcome)
    } catch {
      try? writeMetrics(nil, failed(error, .write), since: start)
      throw error
    }
  }

  /// Makes the candidate of what the sources answered.
  private func candidate(
    of answers: [SourceAnswer], host: HostIdentity, _ early: Set<String>
  ) async throws -> Candidate {
    let listeners = try await EnvoyListeners.ask(adminPort: options.envoyAdminPort)
    let (options, sources) = (options, options.sources)
    let (result, paths) = try await BlockingWork.run {
      let files = SourceFiles()
      let previous = try? Files.read(options.configuration, limit: SourceReader.longestAnswer)
      let maker = CandidateMaker(options: options, host: host, listeners: listeners, previous: previous)
      let result = Result {
        let local = try maker.localServices(Array(zip(sources, answers)).map { (source: $0, answer: $1) }, files)
        return try maker.make(local, files)
      }
      return (result, files.paths)
    }
    attemptedPaths = paths.union(early)
    var candidate = try result.get()
    candidate.paths = attemptedPaths
    return candidate
  }

  /// A reader of sources, and the files that were read to make it.
  func reader() async throws -> (SourceReader, Set<String>) {
    let options = options
    let remembered = identity.flatMap { clock.now - $0.at < NerveConfigurator.identityAge ? $0.host : nil }
    let (host, paasta, paths) = try await BlockingWork.run {
      let files = SourceFiles()
      var paasta = PaastaConfiguration(cluster: nil)
      if options.sources.contains(where: \.isMesos) {
        paasta = try PaastaConfiguration(directory: options.paastaDirectory, files: files)
      }
      var paths = files.paths
      for case .file(let path) in options.sources { paths.insert(path) }
      return (remembered ?? HostIdentity.look(address: options.hostAddress), paasta, paths)
    }
    if remembered == nil, host.address != nil { identity = (host, clock.now) }
    return (SourceReader(host: host, paasta: paasta), paths)
  }

  private func dump() async throws -> Outcome {
    let (reader, _) = try await reader()
    var answers: [(source: ServicesSource, answer: SourceAnswer)] = []
    for source in options.sources { answers.append((source, try await reader.ask(source))) }
    let maker = CandidateMaker(options: options, host: reader.host, listeners: EnvoyListeners())
    let asked = answers
    let local = try await BlockingWork.run { try maker.localServices(asked, SourceFiles()) }
    return Outcome(
      output: local.list.text() + "\n", problems: local.leftOut.map(\.description),
      status: local.leftOut.isEmpty ? 0 : 3)
  }

  // MARK: Acting

  /// Does with the candidate what the mode says.
  func finish(_ candidate: Candidate, _ mode: Mode) async throws -> Outcome {
    var outcome = Outcome(problems: candidate.warnings + candidate.leftOut.map(\.description))
    let bytes = candidate.bytes
    let path = options.configuration
    let previous = try? await BlockingWork.run { try Files.read(path, limit: SourceReader.longestAnswer) }
    let isChanged = previous != bytes
    let reloader = NerveReloader(
      options: options, instanceID: candidate.instanceID, clock: clock)
    let step = reloader.plan(isChanged: isChanged)
    switch mode {
    case .dumpLocalServices: break
    case .diff(let inColor):
      let old = previous.map { String(decoding: $0, as: UTF8.self) }
      outcome.output = TextDiff.unified(
        old, String(decoding: bytes, as: UTF8.self), names: (path, path + " (new)"), inColor: inColor)
      outcome.status = isChanged ? 1 : 0
    case .dryRun:
      outcome.output = "\(summary(candidate, isChanged: isChanged, verb: "would change")); \(step)\n"
      outcome.status = isChanged ? 1 : 0
    case .write:
      try await put(bytes, isChanged: isChanged)
      try await reloader.run(step)
      if isChanged || !candidate.leftOut.isEmpty || step != .nothing {
        outcome.output = "\(summary(candidate, isChanged: isChanged, verb: "changed")); \(step)\n"
      }
      outcome.status = candidate.leftOut.isEmpty ? 0 : 3
    }
    return outcome
  }

  private func summary(_ candidate: Candidate, isChanged: Bool, verb: String) -> String {
    let left = candidate.leftOut.isEmpty ? "" : ", \(candidate.leftOut.count) left out"
    let file = isChanged ? "\(options.configuration) \(verb)" : "\(options.configuration) is up to date"
    return "\(candidate.serviceCount) local services, \(candidate.registrationCount) registrations\(left); \(file)"
  }

  /// Puts the file in place, after the program that was asked for had a look at it. What is there already is only
  /// touched: monitoring goes by the file's age.
  private func put(_ bytes: [UInt8], isChanged: Bool) async throws {
    let path = options.configuration
    let touches = options.touchesUnchanged
    if !isChanged, !touches { return }
    guard let executable = options.nerveExecutable else {
      return try await BlockingWork.run {
        if isChanged {
          try AtomicFile.write(bytes, to: path, mode: 0o644, sync: false)
        } else {
          try Files.touch(path, mode: 0o644)
        }
      }
    }
    let candidate = path + ".tmp"
    try await BlockingWork.run { try AtomicFile.write(bytes, to: candidate, mode: 0o644, sync: false) }
    let result: ChildResult
    do {
      result = try await ChildProcess.run(executable, ["-c", candidate, "-k"], deadline: .seconds(60))
    } catch let error as FileError {
      throw HostFailure(description: "\(error); \(path) stays as it was")
    }
    guard result.status == .exited(0) else {
      let output = String(decoding: result.errorOutput + result.output, as: UTF8.self)
      let first = output.split(whereSeparator: \.isNewline).first.map { ": \($0)" } ?? ""
      throw HostFailure(
        description: "`\(executable) -c \(candidate) -k` refuses the candidate with \(result.status)\(first); "
          + "\(path) stays as it was")
    }
    guard rename(candidate, path) == 0 else { throw FileError("rename", candidate, code: errno) }
  }

  // MARK: Metrics

  /// Writes the file of figures.
  func writeMetrics(_ candidate: Candidate?, _ outcome: Outcome, since start: LoopClock.Instant) throws {
    guard let path = options.metricsFile else { return }
    let metrics = Metrics()
    let set = { (name: String, value: Double, help: String) in
      metrics.gauge("configure_nerve_\(name)", help: help).value = value
    }
    set("success", outcome.status == 0 ? 1 : 0, "Whether the last run left nothing out.")
    set("last_run_timestamp_seconds", clock.unixTime, "When the last run ended.")
    set("duration_seconds", (clock.now - start) / .seconds(1), "How long the last run took.")
    if let candidate {
      set("local_services", Double(candidate.serviceCount), "Services that the sources listed.")
      set("registrations", Double(candidate.registrationCount), "Entries of nerve's configuration.")
      set("left_out", Double(candidate.leftOut.count), "Services left out or kept as they were.")
    }
    try AtomicFile.write(Array(metrics.render().utf8), to: path, mode: 0o644, sync: false)
  }
}

extension ServicesSource {
  var isMesos: Bool { if case .mesos = self { true } else { false } }
}
