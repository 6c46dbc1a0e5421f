internal import AgentKit
internal import HAProxyConfigGen
internal import Logging
internal import Reactor
internal import SmartStack

/// The outputs of a configuration: HAProxy, files, and a command, each if it has a section.
@LoopActor final class AgentOutputs {
  private let context: AgentContext
  private let stateDirectory: String?
  private(set) var haproxy: HAProxyOutput?
  private var files: FileOutput?
  private var exec: ExecOutput?
  /// What the program before this one in this process knew; until the first HAProxy output is made.
  private var inherited: SynapseUpgradeState?
  /// What an earlier agent knew of servers, if it can be read; until then, too.
  private var recalled: (memory: ServerMemory?, section: HAProxyConfiguration)?

  init(context: AgentContext, stateDirectory: String?, inherited: SynapseUpgradeState?) {
    self.context = context
    self.stateDirectory = stateDirectory
    self.inherited = inherited
  }

  /// What was read of a service's registrations, first by an earlier agent, by ``Backend/origin``.
  func registrations(of service: String) -> [UInt64: Backend] {
    (haproxy?.wanted.model.memory ?? recalled?.memory)?.registrations(of: service) ?? [:]
  }

  /// Reads what an earlier agent knew of servers: the one that ran in this process, else the one that wrote the state file.
  func recall(_ configuration: SynapseConfiguration) {
    recalled = configuration.haproxy.map { (saved(for: $0), $0) }
  }

  private func saved(for section: HAProxyConfiguration) -> ServerMemory? {
    if let handedOver = inherited?.memory { return ServerMemory(stateFile: handedOver) }
    guard let path = section.stateFilePath else { return nil }
    let reason: String
    do throws(FileError) {
      if let memory = ServerMemory(stateFile: try Files.read(path, limit: 1 << 28)) { return memory }
      reason = "it is not a state file: one JSON object with an object for each service"
    } catch {
      if error.isMissing { return nil }
      reason = error.description
    }
    context.logger.warning("state file ignored", with: [.path: path, .reason: reason])
    return nil
  }

  /// Whether nothing outside is touched yet.
  var isEmpty: Bool { all.isEmpty }

  private var all: [any ConfigGenerator] {
    let optional: [(any ConfigGenerator)?] = [haproxy, files, exec]
    return optional.compactMap { $0 }
  }

  /// Applies services as they are now to every output; unnamed ones stay as they are.
  func apply(_ snapshots: [ServiceSnapshot]) {
    for output in all { output.apply(snapshots) }
  }

  /// Ends all outputs; what they made stays.
  func stop() async {
    for output in all { await output.stop() }
  }

  // MARK: Another configuration

  /// Goes over to `configuration`: an output whose section is the same goes on, the others are replaced.
  /// - Parameter silent: services without data.
  /// - Returns: the servers that are remembered of those.
  func change(to configuration: SynapseConfiguration, silent: Set<String>) async -> [String: [Backend]] {
    let memory = haproxy?.wanted.model.memory
    await stopOutputs(without: configuration)
    let made = haproxy == nil ? makeHAProxyOutput(configuration, memory: memory) : nil
    await made?.prepare()
    let silentServices = configuration.services.filter { silent.contains($0.name) }
    let remembered = (haproxy ?? made).map { AgentOutputs.remembered(silentServices, in: $0) } ?? [:]
    haproxy?.wanted.replaceServices(configuration.services.map(\.haproxy))
    haproxy?.reloads.resetBudgets()
    exec?.replaceServices(AgentOutputs.names(in: configuration, of: \.isTold))
    if let made {
      made.start()
      haproxy = made
    }
    startMissing(configuration)
    return remembered
  }

  private func stopOutputs(without configuration: SynapseConfiguration) async {
    if let old = haproxy, old.configuration != configuration.haproxy {
      haproxy = nil
      await old.stop()
    }
    // It holds nothing that a new one would not find in its directory.
    if let old = files {
      files = nil
      await old.stop()
    }
    // A new one would have to wait for the run of the old one, or run beside it.
    if let old = exec, old.configuration != configuration.execOutput {
      exec = nil
      await old.stop()
    }
  }

  private func startMissing(_ configuration: SynapseConfiguration) {
    if let directory = configuration.fileOutputDirectory {
      files = FileOutput(
        directory: directory, services: AgentOutputs.names(in: configuration, of: \.writesFile), clock: context.clock,
        logger: context.logger)
      files?.start()
    }
    if exec == nil, let section = configuration.execOutput {
      exec = ExecOutput(
        section, services: AgentOutputs.names(in: configuration, of: \.isTold), clock: context.clock,
        logger: context.logger)
      exec?.start()
    }
  }

  private func makeHAProxyOutput(_ configuration: SynapseConfiguration, memory: ServerMemory?) -> HAProxyOutput? {
    guard let section = configuration.haproxy else { return nil }
    let saved = recalled?.section == section ? recalled?.memory : saved(for: section)
    let handedOver = inherited
    (inherited, recalled) = (nil, nil)
    let marker = stateDirectory.map { "\($0)/reload-pending-\(StableHash(section.filePath).hexadecimal)" }
    let output = HAProxyOutput(
      section, services: configuration.services.map(\.haproxy), saved: saved, memory: memory ?? saved ?? .init(),
      reloadMarker: marker,
      clock: context.clock, logger: context.logger, metrics: context.metrics, statsd: context.statsd)
    if let handedOver { output.reloads.wait(handedOver.reloadDelay) }
    return output
  }

  /// The servers of services without data: nothing that serves is emptied.
  private static func remembered(
    _ services: [ServiceConfiguration], in output: HAProxyOutput
  ) -> [String: [Backend]] {
    let defaults = Dictionary(services.map { ($0.name, $0.rules.defaultServers) }, uniquingKeysWith: { $1 })
    return output.remembered(services.map(\.haproxy)).merging(defaults) { known, defaults in
      known.isEmpty ? defaults : known
    }
  }

  /// The services that an output is to have.
  private static func names(
    in configuration: SynapseConfiguration, of isIncluded: (ServiceConfiguration) -> Bool
  ) -> Set<String> { Set(configuration.services.filter(isIncluded).map(\.name)) }
}
