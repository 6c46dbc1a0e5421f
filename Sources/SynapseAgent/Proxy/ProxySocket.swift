internal import HAProxyConfigGen
internal import HAProxyRuntime
internal import Logging
internal import Reactor
internal import SmartStack

/// One running HAProxy as its stats socket shows it, and what is known of the file it has loaded.
@LoopActor final class ProxySocket {
  /// What acting on the socket came to.
  enum Outcome: Equatable {
    /// HAProxy serves what is wanted.
    case matches
    /// It does not, for these reasons; commands did what they could.
    case needsReload([String])
    /// Another process answered than the one that was planned for: to be acted on again.
    case restarted
    /// It cannot be asked.
    case unreachable(String)
  }

  let path: String
  let client: HAProxyRuntimeClient
  /// What runs; nil: not known, to be looked at before anything is planned.
  private(set) var running: RunningProxy?
  private var mustLookAgain = false
  private var info: ProxyInfo?
  /// What it has loaded; nil: not known.
  private(set) var loaded: LoadedConfiguration?
  /// Grows with whatever is done to what runs, so that a look from before is not compared with what came after.
  private(set) var epoch = 0
  /// What the last audit saw, and when; nil: it did not agree.
  var audited: (digest: UInt64, epoch: Int)?
  /// An audit has found another thing than what had been brought about.
  var isDriftSuspected = false
  /// How often what runs was found to be another thing than what had been brought about.
  private(set) var drifts = 0
  /// HAProxy's own word; nil: it has not answered.
  var version: String? { info?.version }
  /// Servers that this process got by commands, as far as this agent saw it.
  private(set) var addedServers = 0
  /// Those of the last commands.
  private var lastAdded: Set<ServerPath> = []
  /// Whether the last call of ``act(on:changed:)`` left nothing to be wanted.
  private(set) var isInAgreement = false
  /// Commands that this process has refused: asking again would change nothing.
  private var refused: Set<String> = []
  /// The reasons last logged, so that a standing one is said once.
  private var lastReasons: [String] = []
  /// What a process has loaded that started without our doing.
  private let loadedByRestart: @LoopActor () -> LoadedConfiguration?
  private let logger: Logger
  private let commandCounter: Counter
  private let refusalCounter: Counter
  private let driftCounter: Counter

  /// - Parameter loadedByRestart: what a process has loaded that started without our doing.
  init(
    path: String, logger: Logger, metrics: Metrics, loadedByRestart: @escaping @LoopActor () -> LoadedConfiguration?
  ) {
    self.path = path
    client = HAProxyRuntimeClient(socket: path)
    self.loadedByRestart = loadedByRestart
    self.logger = logger
    commandCounter = metrics.counter("synapse_haproxy_commands_total", help: "Commands sent to HAProxy's socket.")
    driftCounter = metrics.counter(
      "synapse_haproxy_drifts_total", help: "Audits that found HAProxy changed by somebody else.")
    refusalCounter = metrics.counter("synapse_haproxy_refusals_total", help: "Commands that HAProxy refused.")
  }

  /// The process that answered last; nil: none has.
  var pid: Int? { info?.pid }

  /// Looks at everything that runs.
  func observe() async throws(HAProxyRuntimeError) {
    let observed = try await client.observe()
    _ = take(observed.info)
    running = RunningProxy(observed)
  }

  /// Asks for the process alone.
  /// - Returns: whether it is another one than before; what ran is forgotten then.
  func probe() async throws(HAProxyRuntimeError) -> Bool {
    let now = try ProxyInfo(parsing: try await client.run(.showInfo))
    return take(now)
  }

  /// The process that answers now; changes nothing here.
  func currentPID() async throws(HAProxyRuntimeError) -> Int {
    try ProxyInfo(parsing: try await client.run(.showInfo)).pid
  }

  /// `show servers state` as HAProxy reads it back.
  func serverState() async throws(HAProxyRuntimeError) -> String { try await client.run(.showServers) }

  /// Brings what runs nearer to what is wanted, as far as commands can.
  /// - Parameter changed: the services whose servers are others than at the last call; nil: anything may be.
  func act(on wanted: ProxyModel, changed: Set<String>?) async -> Outcome {
    // Only what was in agreement as a whole may be looked at in part.
    let part = isInAgreement && running != nil && !mustLookAgain ? changed : nil
    isInAgreement = false
    epoch += 1
    if mustLookAgain { running = nil }
    mustLookAgain = false
    do {
      if running == nil { try await observe() }
      let reasons: [String]
      switch await plan(wanted, part) {
      case .nothing: reasons = []
      case .commands(let commands): reasons = try await send(commands)
      case .reload(let causes, let commands): reasons = causes.map(\.description) + (try await send(commands))
      }
      if running == nil {
        // The commands met a process that had just started: what they added is not in the file it has loaded.
        loaded?.note(added: lastAdded, of: wanted)
        addedServers = lastAdded.count
        return .restarted
      }
      report(reasons)
      if !reasons.isEmpty { return .needsReload(reasons) }
      isInAgreement = await remember(wanted, part)
      return .matches
    } catch {
      running = nil
      return .unreachable(error.description)
    }
  }

  private func plan(_ wanted: ProxyModel, _ part: Set<String>?) async -> Plan {
    guard let running else { return .nothing }
    let loaded = loaded
    let start = ContinuousClock.now
    defer { logger.debug("planned", [.elapsed: ContinuousClock.now - start]) }
    if let part { return Planner.plan(running: running, loaded: loaded, wanted: wanted, services: part) }
    // All of it takes milliseconds with thousands of servers: not on the loop.
    let whole = try? await BlockingWork.run { Planner.plan(running: running, loaded: loaded, wanted: wanted) }
    return whole ?? .nothing
  }

  /// The commands were obeyed: what is loaded is what the model says.
  /// - Returns: whether it is still the same process.
  private func remember(_ obeyed: ProxyModel, _ part: Set<String>?) async -> Bool {
    guard let loaded, let pid, let running else { return false }
    if let part {
      self.loaded?.update(to: obeyed, services: part)
      return true
    }
    let updated = try? await BlockingWork.run { () -> LoadedConfiguration in
      var loaded = loaded
      loaded.update(to: obeyed)
      loaded.prune(obeyed, running: running)
      return loaded
    }
    guard let updated, self.pid == pid, self.running != nil else { return false }
    self.loaded = updated
    return true
  }

  /// Takes what the process is known to have loaded.
  func take(loaded: LoadedConfiguration?) {
    self.loaded = loaded
    isInAgreement = false
  }

  /// What runs is to be looked at again before the next plan.
  ///
  /// Not at once: a plan that is being carried out still needs to know what it was made for.
  func forget() { mustLookAgain = true }

  // MARK: Commands

  /// - Returns: why these commands were not enough.
  private func send(_ planned: [RuntimeCommand]) async throws(HAProxyRuntimeError) -> [String] {
    let (commands, complaints) = prepared(planned)
    countDrift(commands.count)
    lastAdded = []
    if commands.isEmpty { return complaints }
    let backends = Set(commands.map(\.planned.path.backend)).sorted()
    var batch = commands.map(\.socket)
    for backend in backends { batch.append(try .showServers(of: backend)) }
    batch.append(.showInfo)
    let start = ContinuousClock.now
    let outcomes = try await client.run(batch)
    commandCounter.increment(by: Double(commands.count))
    var reasons = complaints
    for (command, outcome) in zip(commands, outcomes) {
      if let reason = complaint(about: command.planned, outcome: outcome) { reasons.append(reason) }
    }
    try update(backends, Array(outcomes.dropFirst(commands.count)))
    logger.info("HAProxy is updated", [.count: commands.count, .elapsed: ContinuousClock.now - start])
    return reasons
  }

  private func countDrift(_ repairs: Int) {
    defer { isDriftSuspected = false }
    guard isDriftSuspected, repairs > 0 else { return }
    drifts += 1
    driftCounter.increment()
    logger.warning("HAProxy was changed by somebody else, it is put right", [.path: path, .count: repairs])
  }

  private func prepared(
    _ planned: [RuntimeCommand]
  ) -> (commands: [(planned: RuntimeCommand, socket: SocketCommand)], complaints: [String]) {
    var commands: [(planned: RuntimeCommand, socket: SocketCommand)] = []
    var complaints: [String] = []
    for command in planned {
      if refused.contains(command.text) {
        if !command.isOptional { complaints.append("HAProxy refused `\(command.text)`") }
        continue
      }
      do throws(HAProxyRuntimeError) {
        commands.append((command, try SocketCommand(command)))
      } catch {
        complaints.append(error.description)
      }
    }
    return (commands, complaints)
  }

  private func complaint(about command: RuntimeCommand, outcome: CommandOutcome) -> String? {
    guard case .refused(let reply) = outcome else {
      if command.isAddition {
        addedServers += 1
        lastAdded.insert(command.path)
      }
      logger.debug("HAProxy obeyed", [.command: command.text])
      return nil
    }
    refused.insert(command.text)
    refusalCounter.increment()
    let error = HAProxyRuntimeError.refused(command: command.text, reply: reply)
    if command.isOptional { return nil }
    logger.warning("HAProxy refused a command", [.command: command.text, .reason: reply])
    return error.description
  }

  /// Takes what the touched backends look like now, from the same connection.
  private func update(_ backends: [String], _ outcomes: [CommandOutcome]) throws(HAProxyRuntimeError) {
    for (backend, outcome) in zip(backends, outcomes) {
      guard case .done(let text) = outcome else { continue }
      running?.backends[backend] = RunningBackend(servers: RunningProxy.servers(try ServerStates.parse(text)))
    }
    if case .done(let text)? = outcomes.last { _ = take(try ProxyInfo(parsing: text)) }
  }

  private func take(_ now: ProxyInfo) -> Bool {
    guard let before = info, before.pid != now.pid else {
      info = now
      return false
    }
    logger.notice("HAProxy runs as another process", [.pid: now.pid])
    info = now
    running = nil
    addedServers = 0
    refused = []
    loaded = loadedByRestart()
    return true
  }

  /// Says why a reload is needed, when that is news.
  private func report(_ reasons: [String]) {
    if reasons == lastReasons { return }
    lastReasons = reasons
    // A first start has one per section; a few say it.
    for reason in reasons.prefix(5) {
      logger.info("HAProxy needs a reload", [.reason: reason, .count: reasons.count])
    }
  }
}

extension RunningProxy {
  /// What was observed, as the planner takes it.
  init(_ observed: ObservedProxy) {
    var backends = observed.sections.backends.mapValues { _ in RunningBackend() }
    var servers: [String: [ServerState]] = [:]
    for server in observed.servers { servers[server.backend, default: []].append(server) }
    for (backend, states) in servers {
      backends[backend] = RunningBackend(servers: RunningProxy.servers(states))
    }
    let numbers = observed.info.versionNumbers
    let version =
      HAProxyVersion(observed.info.version) ?? HAProxyVersion(numbers.first ?? 0, numbers.dropFirst().first ?? 0)
    self.init(version: version, backends: backends)
  }

  static func servers(_ states: [ServerState]) -> [String: RunningServer] {
    var servers: [String: RunningServer] = [:]
    servers.reserveCapacity(states.count)
    for state in states {
      servers[state.name] = RunningServer(
        id: state.id, address: state.address.isEmpty ? nil : state.address, port: state.port, weight: state.weight,
        adminState: AdminState(rawValue: state.administration.rawValue),
        checkState: CheckState(rawValue: state.checkState), agentState: CheckState(rawValue: state.agentState))
    }
    return servers
  }
}
