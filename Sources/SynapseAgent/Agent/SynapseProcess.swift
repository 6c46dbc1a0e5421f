internal import AgentKit
internal import Glibc
internal import Logging
internal import Reactor
internal import SmartStack

/// The agent as a process: its lock, its signals, and its replacement in place.
@LoopActor final class SynapseProcess {
  private let configuration: SynapseConfiguration
  private let path: String
  private let logger: Logger
  private let metrics = Metrics()
  private let isLastReloadGood: Gauge
  private var lock: InstanceLock?
  private var synapse: Synapse?
  private var process: AgentProcess?
  private var status: StatusServer?
  private var isBeingReplaced = false

  /// - Parameters:
  ///   - configuration: as it was read at the start.
  ///   - path: where it is read again.
  init(_ configuration: SynapseConfiguration, path: String, logger: Logger) {
    self.configuration = configuration
    self.path = path
    self.logger = logger
    isLastReloadGood = metrics.gauge(
      "synapse_last_reload_successful", help: "0 while the file is refused and an older configuration is in force.")
    isLastReloadGood.value = 1
  }

  /// Runs until SIGTERM or SIGINT.
  /// - Returns: the exit status.
  func run() async -> Int32 {
    let state = StateDirectory(configured: configuration.stateDirectory, agent: "synapse")
    if let problem = state.problem { logger.warning("no state is kept", [.path: state.path, .reason: problem]) }
    let handover = Handover.received()
    do throws(FileError) {
      try takeLock(handover, state)
    } catch {
      logger.critical("another synapse keeps the same files: \(error)")
      return 1
    }
    let statsd = configuration.statsd.map { StatsD(host: $0.host, port: $0.port, sampleRates: $0.sampleRates) }
    let synapse = Synapse(
      configuration, stateDirectory: state.problem == nil ? state.path : nil, logger: logger, metrics: metrics,
      statsd: statsd, inherited: handover.map { Succession($0) })
    let process = AgentProcess(
      onReload: { [weak self] in self?.reloadSoon() }, onReplace: { [weak self] in self?.replaceSoon() }, onStop: {})
    (self.synapse, self.process) = (synapse, process)
    synapse.onReady = {
      process.ready()
      LoopClock.system.schedule(after: .seconds(5)) { Heap.trim() }
    }
    synapse.start()
    serveStatus(of: synapse, state, handover)
    await process.waitUntilStopped()
    status?.close()
    await synapse.stop()
    return 0
  }

  private func takeLock(_ handover: Handover?, _ state: StateDirectory) throws(FileError) {
    if let descriptor = handover?.descriptors["lock"] {
      lock = InstanceLock(adopting: descriptor)
    } else if let path = state.path(for: "synapse-\(configuration.instance(path)).lock") {
      lock = try InstanceLock(path: path)
    }
  }

  private func serveStatus(of synapse: Synapse, _ state: StateDirectory, _ handover: Handover?) {
    let server = StatusServer(metrics: metrics) { [weak synapse] in
      synapse?.statusReport(now: LoopClock.system.unixTime) ?? .null
    }
    let socket = state.path(for: "synapse-\(configuration.instance(path)).sock")
    server.listen(path: socket, configuration, handover, logger: logger)
    status = server
  }

  /// SIGHUP: a file that cannot be read changes nothing.
  private func reloadSoon() {
    Task { @LoopActor in
      do {
        synapse?.reload(try await SynapseProgram.load(path))
        isLastReloadGood.value = 1
      } catch {
        isLastReloadGood.value = 0
        logger.error(
          "the configuration cannot be read, everything stays as it was", [.path: path, .reason: "\(error)"])
      }
    }
  }

  // MARK: SIGUSR2

  private func replaceSoon() {
    guard !isBeingReplaced, let executable = ProcessImage.path else { return }
    isBeingReplaced = true
    Task { @LoopActor in
      if let refusal = await ProgramTrial.refusal(of: executable) {
        logger.error("program not replaced, this one goes on", [.path: executable, .reason: refusal])
      } else if process?.isStopping != true {
        await replace(by: executable)
      }
      isBeingReplaced = false
    }
  }

  /// HAProxy goes on with what it has; the next program finds its file, its state and its servers' ids as they are.
  private func replace(by executable: String) async {
    guard let synapse else { return }
    logger.notice("program is replaced", [.path: executable])
    process?.reloading()
    var sockets = Handover()
    await status?.surrender(to: &sockets)
    await synapse.stop()
    if process?.isStopping == true { return }
    var handover = synapse.succession.handover(lock: lock?.surrender())
    handover.add(sockets)
    do {
      try handover.replaceProcess(by: executable)
    } catch {
      // Nothing is watched any more: the next start, by whoever supervises us, adopts what runs.
      logger.error("program cannot be replaced, ending for a restart", [.path: executable, .reason: error])
      exit(1)
    }
  }
}

extension SynapseConfiguration {
  /// What tells agents apart that keep different files: part of the names of lock and status socket.
  /// - Parameter path: the configuration's.
  public func instance(_ path: String) -> String {
    StableHash.text(haproxy?.filePath ?? fileOutput?.directory ?? path)
  }
}
