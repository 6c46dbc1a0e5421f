internal import AgentKit
internal import Hacheck
public import Logging
public import Reactor
internal import Registry
public import SmartStack
internal import YAMLConfig
internal import ZooKeeper

/// nerve: checks the services of this host and keeps their registrations in sync.
@LoopActor public final class Agent {
  /// Time between two touches of `heartbeat_path`.
  private static let heartbeatInterval = Duration.seconds(10)

  /// The agent's metrics; hacheck's are in it too.
  public let metrics = Metrics()

  let options: AgentOptions
  private let logger: Logger
  private let clock: LoopClock
  private let telemetry: NerveTelemetry
  private var process: AgentProcess?
  private var reloads: ReloadQueue?
  private(set) var configuration: NerveConfiguration?
  /// Why the file is rejected while an older configuration is active, and since when.
  private(set) var rejection: (reason: String, since: Double)?
  private var lock: InstanceLock?
  private(set) var host: ServiceHost?
  private var heartbeat: Ticker?
  private var status: StatusServer?
  private var files: ConfigurationWatch?

  /// Creates an agent that does nothing yet.
  public init(options: AgentOptions, logger: Logger, clock: LoopClock = .system) {
    self.options = options
    self.logger = logger
    self.clock = clock
    telemetry = NerveTelemetry(logger: logger, metrics: metrics)
    publishStatus()
  }

  /// Reads the configuration and lists its mistakes.
  /// - Returns: one sentence per problem; none when nerve would run everything it names.
  nonisolated public static func check(_ options: AgentOptions) -> (problems: [String], warnings: [String]) {
    do {
      let configuration = try load(options)
      return (configuration.problems.map(\.description), configuration.warnings.map(\.description))
    } catch {
      return ([error.description], [])
    }
  }

  /// Judges the configuration as a reload would.
  /// - Parameter instance: the name that the running agent registers under; nil: none runs.
  /// - Throws: a `ConfigError`: the file would be rejected.
  nonisolated public static func checkReload(_ options: AgentOptions, instance: String?) throws {
    _ = try load(options, replacing: instance)
  }

  /// - Parameter instance: the name that the agent registers under which is to apply it.
  nonisolated static func load(
    _ options: AgentOptions, replacing instance: String? = nil
  ) throws(ConfigError) -> NerveConfiguration {
    let configuration = try NerveConfiguration.load(path: options.configuration, instanceID: options.instanceID)
    if let rejection = instance.flatMap(configuration.rejection(after:)) {
      throw ConfigError(file: options.configuration, problem: rejection)
    }
    return configuration
  }

  // MARK: Start

  /// Runs until SIGTERM or SIGINT, and returns when every registration is withdrawn.
  /// - Throws: a `ConfigError`, or an `OperatorError`: another nerve of this instance runs.
  public func run() async throws {
    let state = InPlaceUpgradeState.received()
    let process = AgentProcess(
      logger: logger, metrics: metrics, onReload: { [weak self] in self?.requestReload() },
      onUpgrade: { [weak self] in await self?.handOver() })
    self.process = process
    try start(inherited: state)
    process.ready { [weak self] in self?.host?.stall() }
    await process.waitUntilStopped()
    await stop()
  }

  /// Starts everything; returns at once.
  /// - Throws: as ``run()``.
  func start(inherited upgrade: InPlaceUpgradeState? = nil) throws {
    reloads = ReloadQueue { [weak self] in await self?.reload() }
    let configuration = try Agent.load(options)
    let state = StateDirectory(configured: configuration.stateDirectory, agent: "nerve")
    try acquireLock(configuration, in: state, inherited: upgrade)
    let inherited = upgrade.map(NerveUpgradeState.init)
    let store = SessionStore(
      instanceID: configuration.instanceID, inherited: inherited?.sessions ?? [:], logger: logger,
      path: { state.path(for: $0) })
    let publisher = RegistrationPublisher(
      instance: configuration.instanceID, sessionTimeout: options.sessionTimeout,
      credentials: configuration.credentials, tls: configuration.tls, store: store, clock: clock, logger: logger,
      metrics: metrics)
    let drains = DrainTracker()
    let hacheck = configuration.hacheck.map {
      EmbeddedHacheck(
        configuration: $0, inherited: inherited?.listeners ?? ([], ""), clock: clock, logger: logger, metrics: metrics,
        onOpen: { drains.updateAll() })
    }
    host = ServiceHost(
      hacheck: hacheck, drains: drains, publisher: publisher, telemetry: telemetry, clock: clock,
      remembered: { inherited?.memories(of: $0) })
    apply(configuration)
    serveStatus(configuration, in: state, inherited: upgrade)
    telemetry.started()
  }

  private func acquireLock(
    _ configuration: NerveConfiguration, in state: StateDirectory, inherited: InPlaceUpgradeState?
  ) throws {
    guard let path = state.path(for: "lock-\(configuration.instanceID)") else {
      logger.warning(
        "state_dir cannot be used: no resume after a crash, no lock",
        with: [.path: state.path, .reason: state.problem?.description ?? ""])
      return
    }
    do {
      lock = try InstanceLock(path: path, inherited: inherited)
    } catch {
      throw OperatorError("nerve for '\(configuration.instanceID)': \(error)")
    }
  }

  private func serveStatus(
    _ configuration: NerveConfiguration, in state: StateDirectory, inherited: InPlaceUpgradeState?
  ) {
    let reports: @LoopActor () async -> [JSONValue] = { [weak self] in
      let synapse = await StatusServer.neighbour("synapse", of: state)
      return [self?.statusReport() ?? .null] + (synapse.map { [$0] } ?? [])
    }
    let hacheck = host?.hacheck?.service
    hacheck?.show(agents: reports)
    let server = StatusServer(
      logger: logger, hostNames: configuration.statusHosts,
      report: { [weak self] in self?.statusReport() ?? .null }, metrics: { [metrics] in metrics.render() },
      page: { hacheck?.answerPage($0) ?? StatusServer.showPage(of: reports, to: $0) })
    server.listen(in: state, instance: configuration.instanceID)
    server.listen(host: configuration.statusAddress, port: configuration.statusPort, inherited: inherited)
    status = server
  }

  // MARK: Reload

  private func requestReload() {
    process?.reloading()
    reloads?.request()
  }

  /// Reads the configuration again, beside the loop, and applies what has changed. A file that is not usable as a whole
  /// changes nothing; a bad service stays as it was.
  func reload() async {
    let outcome: Result<NerveConfiguration, any Error>
    do {
      let current = configuration
      outcome = .success(
        try await BlockingWork.run { [options] in
          // A service manager may send many for one change.
          if let current, current.files.areUnchanged { return current }
          return try Agent.load(options, replacing: current?.instanceID)
        })
    } catch {
      outcome = .failure(error)
    }
    guard reloads != nil, process?.isStopping != true else { return }
    do {
      apply(try outcome.get())
      rejection = nil
      telemetry.reloaded(rejection: nil)
    } catch {
      rejection = ("\(error)", rejection?.since ?? clock.unixTime)
      telemetry.reloaded(rejection: error)
    }
    process?.ready()
  }

  /// From here on nothing is applied, not even what is being read.
  private func stopReloads() {
    reloads?.stop()
    reloads = nil
  }

  private func apply(_ new: NerveConfiguration) {
    let current = configuration
    telemetry.loaded(
      new, from: options.configuration, waitsForRestart: current.map { new.waitsForRestart(after: $0) } ?? false)
    if current?.heartbeatPath != new.heartbeatPath {
      heartbeat?.cancel()
      heartbeat = new.heartbeatPath.map { path in
        Ticker(touching: path, every: Agent.heartbeatInterval, clock: clock) { [logger] problem in
          logger.warning("heartbeat not written", with: [.path: path, .reason: problem])
        }
      }
    }
    if current?.reloadsOnChange != new.reloadsOnChange || current?.serviceDirectories != new.serviceDirectories {
      files?.cancel()
      let paths = new.reloadsOnChange ? [options.configuration] + new.serviceDirectories : []
      files = ConfigurationWatch(paths: paths, logger: logger, clock: clock) { [weak self] in self?.requestReload() }
    }
    if let services = host?.apply(new) { telemetry.applied(new, from: options.configuration, plan: services) }
    configuration = new
  }

  // MARK: End

  /// What of an agent stays when it ends.
  private enum Kept {
    case nothing
    /// For a successor that resumes the sessions.
    case registrations
    /// Sockets, lock and the checks' histories too: for the next program in this process.
    case everything
  }

  /// Withdraws every registration and ends.
  func stop() async {
    logger.notice("stopping", with: [.count: host?.services.running.count ?? 0])
    await leave(keeping: .nothing)
    telemetry.stopped()
  }

  /// Leaves every registration where it is, for a successor that resumes the sessions.
  func abandon() async { await leave(keeping: .registrations) }

  /// Stops what cannot continue in an in-place upgrade (SIGUSR2).
  /// - Returns: what the next program needs; nil when a stop was requested meanwhile.
  private func handOver() async -> InPlaceUpgradeState? {
    var state = InPlaceUpgradeState()
    await status?.handOver(to: &state)
    await host?.retireHacheck()
    // As it is before the sessions are let go of.
    guard process?.isStopping != true, let upgrade = host?.upgradeState else { return nil }
    upgrade.add(to: &state)
    await leave(keeping: .everything)
    lock?.handOver(to: &state)
    return state
  }

  /// The one way out, whoever asks for it.
  private func leave(keeping kept: Kept) async {
    heartbeat?.cancel()
    files?.cancel()
    stopReloads()
    await host?.end(keepsRegistrations: kept != .nothing)
    if kept == .everything { return }
    status?.close()
    host?.stopHacheck()
    lock = nil
  }
}

extension Agent {
  /// Whether nerve's hacheck holds its port; nil where it is switched off.
  var isHacheckListening: Bool? { host?.hacheck?.isListening }
  /// Whether every registry answers.
  var isConnected: Bool { host?.publisher.isConnected ?? false }
}

/// Command line and environment of one nerve.
public struct AgentOptions: Sendable {
  /// The path of the configuration file.
  public var configuration: String
  /// Registers under this name instead of the file's `instance_id`.
  public var instanceID: String?
  /// Timeout of ZooKeeper sessions: how long registrations outlive a host that is gone,
  /// and how long after a crash the next start finds them in place. The server may give less.
  public var sessionTimeout: Duration

  /// Creates the options of one nerve.
  public init(configuration: String, instanceID: String? = nil, sessionTimeout: Duration = .seconds(32)) {
    self.configuration = configuration
    self.instanceID = instanceID
    self.sessionTimeout = sessionTimeout
  }
}
