internal import AgentKit
internal import Glibc
internal import HAProxyConfigGen
public import Logging
public import Reactor
internal import SmartStack
internal import YAMLConfig

/// The agent as a process, apart from reading its arguments: its lock, its signals, and its in-place upgrade.
@LoopActor public final class SynapseProgram {
  private let configuration: SynapseConfiguration
  /// As it was last read without a mistake.
  private var latest: SynapseConfiguration
  private let path: String
  private let logger: Logger
  private let metrics = Metrics()
  private let isLastReloadGood: Gauge
  private var reloads: ReloadQueue?
  private var lock: InstanceLock?
  private var synapse: Synapse?
  private var process: AgentProcess?
  private var status: StatusServer?

  /// - Parameters:
  ///   - configuration: as it was read at the start.
  ///   - path: where it is read again.
  private init(_ configuration: SynapseConfiguration, path: String, logger: Logger) {
    self.configuration = configuration
    latest = configuration
    self.path = path
    self.logger = logger
    isLastReloadGood = metrics.gauge(
      "synapse_last_reload_successful", help: "0 while the file is refused and an older configuration is active.")
    isLastReloadGood.value = 1
  }

  /// Runs until SIGTERM or SIGINT.
  /// - Returns: the exit status.
  func run() async -> Int32 {
    let state = StateDirectory(configured: configuration.stateDirectory, agent: "synapse")
    if let problem = state.problem { logger.warning("no state is kept", with: [.path: state.path, .reason: problem]) }
    let inherited = InPlaceUpgradeState.received()
    do throws(FileError) {
      if let path = state.path(for: "synapse-\(configuration.instance(path)).lock") {
        lock = try InstanceLock(path: path, inherited: inherited)
      }
    } catch {
      logger.critical("another synapse keeps the same files: \(error)")
      return 1
    }
    let statsd = configuration.statsd.map { StatsD(host: $0.host, port: $0.port, sampleRates: $0.sampleRates) }
    let synapse = Synapse(
      configuration, stateDirectory: state.problem == nil ? state.path : nil, logger: logger, metrics: metrics,
      statsd: statsd, inherited: inherited.map(SynapseUpgradeState.init))
    let reloads = ReloadQueue { [weak self] in await self?.reload() }
    self.reloads = reloads
    let process = AgentProcess(
      logger: logger, metrics: metrics, onReload: { reloads.request() },
      onUpgrade: { [weak self] in await self?.handOver() })
    (self.synapse, self.process) = (synapse, process)
    synapse.onReady = {
      process.ready()
      LoopClock.system.schedule(after: .seconds(5)) { ThisProcess.trimHeap() }
    }
    synapse.start()
    serveStatus(of: synapse, state, inherited: inherited)
    await process.waitUntilStopped()
    status?.close()
    reloads.stop()
    await synapse.stop()
    return 0
  }

  private func serveStatus(of synapse: Synapse, _ state: StateDirectory, inherited: InPlaceUpgradeState?) {
    let server = synapse.makeStatusServer(state, metrics: metrics, logger: logger)
    server.listen(in: state, instance: configuration.instance(path))
    server.listen(host: configuration.statusAddress, port: configuration.statusPort, inherited: inherited)
    status = server
  }

  /// Reads the file and applies it; one that cannot be read changes nothing.
  private func reload() async {
    do {
      latest = try await SynapseProgram.load(path, unless: latest)
      synapse?.reload(latest)
      isLastReloadGood.value = 1
    } catch {
      isLastReloadGood.value = 0
      synapse?.reject("\(error)")
      logger.error(
        "the configuration cannot be read, everything stays as it was", with: [.path: path, .reason: "\(error)"])
    }
  }

  /// Stops what cannot continue. HAProxy runs on with what it has; the next program finds its file, its state and its
  /// servers' ids as they are.
  /// - Returns: what the next program needs; nil when a stop was requested meanwhile.
  private func handOver() async -> InPlaceUpgradeState? {
    guard let synapse else { return nil }
    reloads?.stop()
    var state = InPlaceUpgradeState()
    await status?.handOver(to: &state)
    await synapse.stop()
    if process?.isStopping == true { return nil }
    synapse.upgradeState.add(to: &state)
    lock?.handOver(to: &state)
    return state
  }
}

extension SynapseConfiguration {
  /// What tells agents apart that keep different files: part of the names of lock and status socket.
  /// - Parameter path: the configuration's.
  public func instance(_ path: String) -> String {
    StableHash(haproxy?.filePath ?? fileOutputDirectory ?? path).hexadecimal
  }
}

extension SynapseProgram {
  /// Runs the agent until it is told to stop.
  public static func run(_ path: String, logger: Logger) async -> Int32 {
    // Early: a package upgrade may move the file away.
    _ = ThisProcess.path
    let configuration: SynapseConfiguration
    do {
      configuration = try await load(path)
    } catch {
      StandardOutput.say(AgentLog.complaint("synapse: \(error)\n"))
      return 1
    }
    let process = SynapseProgram(configuration, path: path, logger: logger)
    // Its signal handlers know it weakly, and the optimizer would let go of it while it runs.
    defer { withExtendedLifetime(process) {} }
    return await process.run()
  }

  /// What `synapse --version` prints.
  public nonisolated static let version = "synapse \(Release.version)"

  /// The name of the lock that a synapse holds in its state directory while it writes a HAProxy file.
  public nonisolated static func lockName(forHAProxyFile path: String) -> String {
    "synapse-\(StableHash(path).hexadecimal).lock"
  }

  /// Off the loop: a large file takes a while.
  /// - Parameter known: what it held before, which is returned if its files are unchanged.
  public nonisolated static func load(
    _ path: String, unless known: SynapseConfiguration? = nil
  ) async throws -> SynapseConfiguration {
    let environment = ProcessEnvironment.current
    return try await BlockingWork.run {
      if let known, known.files.areUnchanged { return known }
      return try ConfigurationLoader(environment: environment).load(path)
    }
  }
}

extension Rendering {
  /// Prepares the rendering; nil for a configuration without HAProxy.
  public init?(_ configuration: SynapseConfiguration) {
    guard let section = configuration.haproxy else { return nil }
    self.init(section, services: configuration.services.map { ($0.haproxy, $0.rules.defaultServers) })
  }
}
