internal import AgentKit
internal import Hacheck
public import Logging
public import Reactor
internal import Registry
public import SmartStack
internal import YAMLConfig
internal import ZooKeeper

/// What the command line and the environment say.
public struct AgentOptions: Sendable {
  /// The configuration file.
  public var configuration: String
  /// Registers under this name instead of the file's `instance_id`.
  public var instanceID: String?
  /// Asked for when a ZooKeeper session is opened: how long registrations outlive a host that is gone,
  /// and how long after a crash the next start finds them in place. The server may give less.
  public var sessionTimeout: Duration

  /// See the properties.
  public init(configuration: String, instanceID: String? = nil, sessionTimeout: Duration = .seconds(32)) {
    self.configuration = configuration
    self.instanceID = instanceID
    self.sessionTimeout = sessionTimeout
  }
}

/// Why the agent did not start.
public enum AgentError: Error, Sendable, CustomStringConvertible {
  /// The configuration as a whole is of no use.
  case configuration(String)
  /// Another nerve of this instance runs.
  case alreadyRunning(String)

  /// What is wrong and where.
  public var description: String {
    switch self {
    case .configuration(let text), .alreadyRunning(let text): text
    }
  }
}

/// nerve: checks the services of this host and keeps their registrations true.
@LoopActor public final class Agent {
  /// `heartbeat_path` is touched this often.
  static let heartbeatInterval = Duration.seconds(10)
  /// How long a stop waits for registrations that outlive a session.
  static let stopLimit = Duration.seconds(2)

  /// The agent's metrics; hacheck's are in it too.
  public let metrics = Metrics()

  let options: AgentOptions
  let logger: Logger
  private let clock: LoopClock
  let telemetry: NerveTelemetry
  private let drains = DrainTracker()
  var process: AgentProcess?
  private var current: NerveConfiguration?
  var lock: InstanceLock?
  var hacheck: EmbeddedHacheck?
  private var spoolObservation: SpoolObservation?
  var publisher: RegistrationPublisher?
  /// Ours, without what our service manager tells us and nobody else.
  private static let commandEnvironment = ProcessEnvironment.current.filter {
    !["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"].contains($0.key)
  }
  private let commandSlots = AsyncSemaphore(limit: NerveConfiguration.defaultCommandLimit)
  var services: ServiceSet?
  private var heartbeat: Heartbeat?
  /// What the program before this one in this process handed over.
  private var inherited: NerveUpgradeState?
  private var status: StatusServer?
  private var watches: [FileWatch] = []
  private var reloadTimer: LoopTimer?

  /// An agent that does nothing yet.
  public init(options: AgentOptions, logger: Logger, clock: LoopClock = .system) {
    self.options = options
    self.logger = logger
    self.clock = clock
    telemetry = NerveTelemetry(logger: logger, metrics: metrics)
    publishStatus()
  }

  /// Reads the configuration and says what is wrong with it.
  /// - Returns: one sentence per problem; none when nerve would run everything it names.
  nonisolated public static func check(_ options: AgentOptions) -> (problems: [String], warnings: [String]) {
    do {
      let configuration = try loader(options).load()
      return (configuration.problems.map(\.description), configuration.warnings.map(\.description))
    } catch {
      return ([error.description], [])
    }
  }

  nonisolated static func loader(_ options: AgentOptions) -> NerveConfigurationLoader {
    NerveConfigurationLoader(path: options.configuration, instanceID: options.instanceID)
  }

  // MARK: Running

  /// Runs until SIGTERM or SIGINT, and returns when every registration is withdrawn.
  /// - Throws: ``AgentError`` when it cannot start.
  public func run() async throws {
    let state = InPlaceUpgradeState.received()
    let process = AgentProcess(
      logger: logger, onReload: { [weak self] in self?.reloadAsService() },
      onUpgrade: { [weak self] in await self?.handOver() })
    self.process = process
    try start(inherited: state)
    process.ready()
    await process.waitUntilStopped()
    await stop()
  }

  /// Starts everything; returns at once.
  /// - Throws: ``AgentError``.
  func start(inherited upgrade: InPlaceUpgradeState? = nil) throws {
    let configuration: NerveConfiguration
    do {
      configuration = try Agent.loader(options).load()
    } catch {
      throw AgentError.configuration(error.description)
    }
    let state = StateDirectory(configured: configuration.stateDirectory, agent: "nerve")
    inherited = upgrade.map(NerveUpgradeState.init)
    try acquireLock(configuration, state, inherited: upgrade)
    startHacheck(configuration)
    prepareServices(configuration, state)
    put(configuration)
    inherited = nil
    serveStatus(configuration, state)
    telemetry.statsD.started()
  }

  private func acquireLock(
    _ configuration: NerveConfiguration, _ state: StateDirectory, inherited: InPlaceUpgradeState?
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
      throw AgentError.alreadyRunning("nerve for '\(configuration.instanceID)': \(error)")
    }
  }

  private func startHacheck(_ configuration: NerveConfiguration) {
    guard let settings = configuration.hacheck else { return }
    let hacheck = EmbeddedHacheck(
      configuration: settings, inherited: inherited?.listeners ?? ([], ""), clock: clock, logger: logger,
      metrics: metrics,
      onOpen: { [drains] in drains.updateAll() })
    self.hacheck = hacheck
    spoolObservation = hacheck.service.onSpoolChange { [drains] scopes in drains.spoolChanged(scopes) }
    hacheck.start()
  }

  private func prepareServices(_ configuration: NerveConfiguration, _ state: StateDirectory) {
    let store = SessionStore(
      instanceID: configuration.instanceID, inherited: inherited?.sessions ?? [:], logger: logger,
      path: { state.path(for: $0) })
    let publisher = RegistrationPublisher(
      identity: RegistrationPublisher.Identity(
        instance: configuration.instanceID, sessionTimeout: options.sessionTimeout,
        credentials: configuration.credentials),
      store: store, clock: clock, logger: logger, metrics: metrics)
    let (telemetry, hacheck) = (telemetry, hacheck)
    let context = ProbeContext(clock: clock, commands: commandSlots, environment: Agent.commandEnvironment)
    let services = ServiceSet(
      factory: ServiceSet.Factory(
        probes: { service in
          service.checks.map { hacheck?.probe(for: $0.settings) ?? $0.settings.probe(in: context) }
        },
        registrar: { service in
          publisher.publish(service.registry) { telemetry.registrationChanged($0, of: service) }
        }),
      drains: drains, telemetry: telemetry, clock: clock)
    services.onAllReported = { [weak self] in self?.allReported() }
    services.remembered = { [weak self] in self?.inherited?.memories(of: $0) }
    (self.publisher, self.services) = (publisher, services)
  }

  private func serveStatus(_ configuration: NerveConfiguration, _ state: StateDirectory) {
    guard let path = Agent.socketPath(configuration, in: state) else { return }
    let server = StatusServer(logger: logger, report: { [weak self] in self?.statusReport() ?? .null })
    server.listen(path: path)
    status = server
  }

  private func allReported() {
    dropLeftovers()
    clock.schedule(after: .seconds(5)) { ThisProcess.trimHeap() }
  }

  private func dropLeftovers() {
    if let services { publisher?.dropLeftovers(of: services.running.values.map(\.registry)) }
  }

  // MARK: Configuration

  /// Reads the configuration again and does what has changed. A file that is of no use as a whole
  /// changes nothing; a bad service stays as it was.
  func reload() {
    do {
      let configuration = try Agent.loader(options).load()
      if let refusal = refusal(of: configuration) {
        throw ConfigError(file: options.configuration, problem: refusal)
      }
      put(configuration)
      telemetry.reloaded(rejection: nil)
    } catch {
      telemetry.reloaded(rejection: error)
    }
  }

  /// `reload_on_change`: a change of the file or of `service_conf_dir` is as good as a SIGHUP.
  private func watchFiles(_ configuration: NerveConfiguration) {
    let paths = configuration.reloadsOnChange ? [options.configuration] + configuration.serviceDirectories : []
    for watch in watches { watch.cancel() }
    watches = paths.compactMap { path in
      do {
        return try FileWatch(path: path) { [weak self] _ in self?.reloadSoon() }
      } catch {
        logger.warning("changes of the configuration will not be noticed", with: [.path: path, .reason: "\(error)"])
        return nil
      }
    }
  }

  /// Files that belong together are often written one after the other.
  private func reloadSoon() {
    if reloadTimer?.isPending == true { return }
    reloadTimer = clock.schedule(after: .milliseconds(100)) { [weak self] in self?.reloadAsService() }
  }

  private func reloadAsService() {
    process?.reloading()
    reload()
    process?.ready()
  }

  /// What a running agent cannot change.
  private func refusal(of configuration: NerveConfiguration) -> String? {
    guard let current, configuration.instanceID != current.instanceID else { return nil }
    return "instance_id changed from '\(current.instanceID)' to '\(configuration.instanceID)': restart nerve for that"
  }

  private func put(_ configuration: NerveConfiguration) {
    for warning in configuration.warnings { logger.warning("configuration", with: [.reason: warning]) }
    for problem in configuration.problems { logger.error("service skipped", with: [.reason: problem]) }
    telemetry.metrics.leftOut.value = Double(configuration.problems.count)
    if let current,
      configuration.hacheck != current.hacheck || configuration.stateDirectory != current.stateDirectory
        || configuration.credentials != current.credentials
    {
      logger.warning("hacheck, state_dir and zk_auth change with the next start", with: [.path: options.configuration])
    }
    telemetry.statsD.receiver = configuration.statsD.map { StatsD(host: $0.host, port: $0.port) }
    if current?.heartbeatPath != configuration.heartbeatPath || heartbeat == nil {
      heartbeat?.stop()
      heartbeat = configuration.heartbeatPath.map { path in
        Heartbeat(path: path, every: Agent.heartbeatInterval, clock: clock) { [logger] problem in
          logger.warning("heartbeat not written", with: [.path: path, .reason: problem])
        }
      }
    }
    commandSlots.limit = configuration.commandLimit
    if current?.reloadsOnChange != configuration.reloadsOnChange
      || current?.serviceDirectories != configuration.serviceDirectories
    {
      watchFiles(configuration)
    }
    if let plan = services?.apply(configuration) {
      telemetry.applied(configuration, from: options.configuration, plan: plan)
    }
    current = configuration
  }

  // MARK: Stop

  /// Withdraws every registration and ends.
  func stop() async {
    logger.notice("stopping", with: [.count: services?.running.count ?? 0])
    heartbeat?.stop()
    status?.close()
    for watch in watches { watch.cancel() }
    await services?.stop(within: Agent.stopLimit)
    await publisher?.close()
    spoolObservation?.cancel()
    hacheck?.stop()
    telemetry.statsD.stopped()
    logger.notice("stopped", with: [:])
    lock = nil
  }

  /// Leaves every registration where it is, for a successor that carries the sessions on.
  func abandon() async {
    heartbeat?.stop()
    status?.close()
    for watch in watches { watch.cancel() }
    services?.leave()
    await publisher?.abandon()
    spoolObservation?.cancel()
    hacheck?.stop()
    lock = nil
  }
}

// MARK: - What there is to see

extension Agent {
  /// One service, as it runs.
  func runner(_ name: String) -> ServiceRunner? { services?.runners[name] }
  /// Whether hacheck's port is ours; nil where it is switched off.
  var isHacheckListening: Bool? { hacheck?.isListening }
  /// Whether every registry answers.
  var isConnected: Bool { publisher?.isConnected ?? false }
  /// The session with the only ensemble.
  var session: SavedSession? { publisher?.sessions.values.first }
}
