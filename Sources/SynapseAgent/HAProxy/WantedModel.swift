internal import HAProxyConfigGen
internal import Logging
internal import Reactor
internal import SmartStack
internal import YAMLConfig

/// The model that HAProxy is to serve, and how often it has changed.
///
/// Changes follow each other. One of many servers is made beside the loop, on a copy; what comes meanwhile waits, and of
/// several snapshots of one service the last counts.
@LoopActor final class WantedModel {
  private(set) var model: ProxyModel
  /// The number of changes so far.
  private(set) var revision = 1
  /// Whether the registry's data is in the model: nothing outside is touched before.
  private(set) var isReady = false
  /// Called after every change.
  var onChange: (@LoopActor () -> Void)?

  private let clock: LoopClock
  private let logger: Logger
  private let names: HostNames
  private let turn = AsyncSemaphore(limit: 1)
  /// What is to be applied: snapshots by service, and the services under the same settings (nil: as they are).
  private var pending: (services: [ServiceSettings]?, snapshots: [String: ServiceSnapshot])?
  /// The services whose servers have changed since ``takeChanges()``; nil: anything may have.
  private var changedServices: Set<String>?
  private var configured: [String: ServiceSettings]
  /// The sections of the registry that are applied, and those that the log has, by service.
  private var registrySections: [String: String] = [:]
  private var loggedSections: [String: String] = [:]
  private var reportedProblems: Set<ConfigProblem> = []

  init(
    settings: GeneratorSettings, services: [ServiceSettings], memory: ServerMemory, clock: LoopClock, logger: Logger,
    resolver: NameResolver = .system
  ) {
    self.clock = clock
    self.logger = logger
    names = HostNames(resolver: resolver, clock: clock, logger: logger)
    configured = WantedModel.byName(services)
    model = ProxyModel(settings: settings, services: services, memory: memory)
  }

  private static func byName(_ services: [ServiceSettings]) -> [String: ServiceSettings] {
    Dictionary(services.map { ($0.service, $0) }) { first, _ in first }
  }

  private func changed(in services: Set<String>? = nil) {
    revision += 1
    if let services { changedServices?.formUnion(services) } else { changedServices = nil }
    onChange?()
  }

  // MARK: Turns

  /// Runs `body` when no other change is under way; a cancelled task waits, too.
  private func inTurn<Result: Sendable>(_ body: @escaping @LoopActor () async -> Result) async -> Result {
    await Task.immediate { @LoopActor in
      try? await turn.acquire()
      defer { turn.release() }
      return await body()
    }.value
  }

  /// Changes the model; only in turn.
  /// - Parameter count: the number of servers whose lines are made again.
  private func change<Result: Sendable>(
    servers count: Int, by body: @escaping @Sendable (inout ProxyModel) -> Result
  ) async -> Result {
    // In place, without a copy.
    if count <= BlockingWork.itemsOnTheSpot { return body(&model) }
    let result: Result
    (model, result) = await BlockingWork.compute { [model] in
      var model = model
      let result = body(&model)
      return (model, result)
    }
    return result
  }

  /// A change of everything, in its turn.
  private func changeAll<Result: Sendable>(by body: @escaping @Sendable (inout ProxyModel) -> Result) async -> Result {
    await inTurn { [self] in await change(servers: model.serverCount, by: body) }
  }

  // MARK: Changes

  /// Applies services as they are now; unnamed ones stay as they are.
  func apply(_ snapshots: [ServiceSnapshot]) {
    var next = pending ?? (nil, [:])
    for snapshot in snapshots { next.snapshots[snapshot.service] = snapshot }
    pending = next
    Task.immediate { @LoopActor in await self.inTurn { [self] in await applyPending() } }
  }

  private func applyPending() async {
    guard let next = pending else { return }
    pending = nil
    let (services, snapshots) = (next.services, next.snapshots.values.sorted { $0.service < $1.service })
    if let services {
      configured = WantedModel.byName(services)
      registrySections = [:]
    }
    let sections = snapshots.compactMap(registrySection)
    let touched = Set(snapshots.map(\.service))
    let count = snapshots.reduce(model.serverCount(of: touched)) { $0 + $1.backends.count }
    let now = Int(clock.unixTime)
    await change(servers: services == nil ? count : count + model.serverCount) { model in
      if let services { model.replaceServices(services) }
      for section in sections {
        model.replace(section.settings, problems: section.problems, orElse: section.configured)
      }
      for snapshot in snapshots { model.apply(snapshot, now: now) }
    }
    let found = names.follow(model.hostNames) { [weak self] outcomes in
      Task.immediate { @LoopActor in await self?.inTurn { await self?.applyNames(outcomes) } }
    }
    let named = found.isEmpty ? [] : await change(servers: model.serverCount) { $0.recordLookUps(found) }
    isReady = true
    changed(in: services == nil && sections.isEmpty ? touched.union(named) : nil)
  }

  private func applyNames(_ outcomes: HostNames.Outcomes) async {
    let services = await change(servers: model.serverCount) { $0.recordLookUps(outcomes) }
    if !services.isEmpty { changed(in: services) }
  }

  /// Returns once the address of each host that is a name is in the model, or could not be looked up.
  func waitForNames() async {
    await inTurn {}
    await names.waitUntilAnswered()
    await inTurn {}
  }

  /// Stops following host names.
  func stop() { names.stop() }

  /// What a section of the registry makes of a service's settings; nil: it is the one that is applied.
  private func registrySection(of snapshot: ServiceSnapshot) -> (
    settings: ServiceSettings, problems: [ConfigProblem], configured: ServiceSettings
  )? {
    let service = snapshot.service
    let text = snapshot.generatorConfig.flatMap { $0.trimmedBlanks.isEmpty ? nil : $0 }
    guard let configured = configured[service], registrySections[service] != text else { return nil }
    registrySections[service] = text
    let isNews = loggedSections[service] != text
    loggedSections[service] = text
    guard let text else {
      logger.warning("registry section removed", with: [.service: service])
      return (configured, [], configured)
    }
    do throws(ConfigError) {
      let top = try ConfigSection(YAMLDocument.parse(Array(text.utf8), file: "the registry"))
      let section = try top.optionalSection("haproxy")
      let (settings, problems) = try WantedModel.settings(configured, with: section)
      if isNews {
        logger.warning(
          "registry section applied",
          with: [.service: service, .count: problems.count, .reason: text.oneLine(limit: 500)])
      }
      return (settings, problems, configured)
    } catch {
      let problem = ConfigProblem(.skipped, at: .service(service, .registry, nil), message: "\(error)")
      if isNews { logger.warning("registry section ignored", with: [.service: service, .reason: error]) }
      return (configured, [problem], configured)
    }
  }

  /// The settings with what a section of the registry may say, and what of it was skipped.
  private static func settings(
    _ configured: ServiceSettings, with section: ConfigSection?
  ) throws(ConfigError) -> (ServiceSettings, [ConfigProblem]) {
    guard let section else { return (configured, []) }
    guard configured.trustsRegistry else {
      return configured.adding(registrySection: section.keys.map { key in (key, section.node(key)?.texts ?? []) })
    }
    if section.keys.isEmpty { return (configured, []) }
    var settings = try ServiceSettings(service: configured.service, section: section)
    settings.isFromRegistry = true
    return (settings, [])
  }

  /// Replaces the services under the same settings, together with the snapshots that ``apply(_:)`` gets next.
  func replaceServices(_ services: [ServiceSettings]) { pending = (services, [:]) }

  /// Records the ids that servers have in a running HAProxy: before the first snapshots, and of each new process.
  func recordIDs(of running: RunningProxy) async { await changeAll { $0.recordIDs(of: running) } }

  /// Records where the sections of HAProxy's file listen, before the first snapshots.
  func recordListening(in text: String) { model.recordListening(AddressClaim.listening(in: text)) }

  /// Skips the services and sections whose addresses this host cannot listen on; see ``ProxyModel/setUnbindable(_:)``.
  func setUnbindable(_ reasons: [LineOrigin: String]) async {
    if model.unbindable != reasons, await changeAll(by: { $0.setUnbindable(reasons) }) { changed() }
  }

  /// Sets the version of the HAProxy that is to load the file.
  /// - Returns: whether the model has changed by it.
  func setVersion(_ version: HAProxyVersion?) async -> Bool {
    guard let version, model.settings.version != version, await changeAll(by: { $0.setVersion(version) }) else {
      return false
    }
    changed()
    return true
  }

  /// Forgets servers that have been gone for long.
  func expire() async {
    let now = Int(clock.unixTime)
    if await changeAll(by: { $0.expire(now: now) }) { changed() }
  }

  /// Skips what HAProxy has refused of a model that was this one.
  /// - Parameter revision: the number of changes when it was this one.
  /// - Returns: the revision that the settled model's file has.
  func adopt(_ settled: ProxyModel, of revision: Int) async -> Int {
    await inTurn { [self] in
      let isSame = revision == self.revision
      let count = model.hasRefusals(of: settled) ? 0 : model.serverCount
      guard await change(servers: count, by: { $0.adoptRefusals(of: settled) }) else { return revision }
      changed()
      return isSame ? self.revision : revision
    }
  }

  // MARK: Questions

  /// The model, and the services whose servers have changed since the last call; nil: anything may have.
  func takeChanges() -> (model: ProxyModel, services: Set<String>?) {
    defer { changedServices = [] }
    return (model, changedServices)
  }

  func stateFile() -> [UInt8] { Array(model.stateFile(now: Int(clock.unixTime)).joined()) }

  /// Logs the problems that are new.
  /// - Returns: the number of all.
  func reportProblems() -> Int {
    let problems = model.problems
    for problem in problems where !reportedProblems.contains(problem) {
      let details: KeyValuePairs<LogKey, any CustomStringConvertible> = [
        .service: problem.origin, .reason: problem.message,
      ]
      if problem.severity == .doubt {
        logger.warning("configuration line doubtful", with: details)
      } else {
        logger.warning("configuration part skipped", with: details)
      }
    }
    reportedProblems = Set(problems)
    return reportedProblems.count
  }
}

extension YAMLNode {
  /// Its text, or those of a list, line by line; empty for what is neither.
  fileprivate var texts: [String] {
    ((try? strings()) ?? []).flatMap { $0.split(whereSeparator: \.isNewline).map(String.init) }
  }
}
