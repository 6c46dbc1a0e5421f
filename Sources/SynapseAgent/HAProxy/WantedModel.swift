internal import HAProxyConfigGen
internal import Logging
internal import Reactor
internal import SmartStack
internal import YAMLConfig

/// The model that HAProxy is to serve, and how often it has changed.
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
  /// The services whose servers have changed since ``takeChanges()``; nil: anything may have.
  private var changedServices: Set<String>?
  /// The services as they are configured.
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

  // MARK: Changes

  /// Applies services as they are now; unnamed ones stay as they are.
  func apply(_ snapshots: [ServiceSnapshot]) {
    isReady = true
    let now = Int(clock.unixTime)
    for snapshot in snapshots {
      applyRegistrySection(of: snapshot, now: now)
      model.apply(snapshot, now: now)
    }
    let found = names.follow(model.hostNames) { [weak self] outcomes in
      guard let self else { return }
      let services = model.recordLookUps(outcomes)
      if !services.isEmpty { changed(in: services) }
    }
    changed(in: Set(snapshots.map(\.service)).union(model.recordLookUps(found)))
  }

  /// Returns once the address of each host that is a name is in the model, or could not be looked up.
  func waitForNames() async { await names.waitUntilAnswered() }

  /// Stops following host names.
  func stop() { names.stop() }

  /// Applies a section of the registry, or lifts it when it is gone or says nothing.
  private func applyRegistrySection(of snapshot: ServiceSnapshot, now: Int) {
    let service = snapshot.service
    let text = snapshot.generatorConfig.flatMap { $0.trimmedBlanks.isEmpty ? nil : $0 }
    guard let configured = configured[service], registrySections[service] != text else { return }
    registrySections[service] = text
    let isNews = loggedSections[service] != text
    loggedSections[service] = text
    changedServices = nil
    guard let text else {
      model.replace(configured, now: now)
      logger.warning("registry section removed", with: [.service: service])
      return
    }
    do throws(ConfigError) {
      let top = try ConfigSection(YAMLDocument.parse(Array(text.utf8), file: "the registry"))
      let section = try top.optionalSection("haproxy")
      let (settings, problems) = try WantedModel.settings(configured, with: section)
      model.replace(settings, problems: problems, now: now)
      if let conflict = model.addressConflict(of: service), settings.isFromRegistry {
        model.replace(configured, problems: [conflict], now: now)
      }
      guard isNews else { return }
      logger.warning(
        "registry section applied",
        with: [.service: service, .count: problems.count, .reason: text.oneLine(limit: 500)])
    } catch {
      let problem = ConfigProblem(.skipped, at: .service(service, .registry, nil), message: "\(error)")
      model.replace(configured, problems: [problem], now: now)
      if isNews { logger.warning("registry section ignored", with: [.service: service, .reason: error]) }
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

  /// Replaces the services under the same settings; ``apply(_:)`` with all of them follows.
  func replaceServices(_ services: [ServiceSettings]) {
    let listening = model.listening
    // With the version of the HAProxy that is to load the file.
    model = ProxyModel(settings: model.settings, services: services, memory: model.memory)
    model.recordListening(listening)
    configured = WantedModel.byName(services)
    registrySections = [:]
    changedServices = nil
  }

  /// Records the ids that servers have in a running HAProxy, before the first snapshots.
  func recordIDs(of running: RunningProxy) { model.recordIDs(of: running) }

  /// Records where the sections of HAProxy's file listen, before the first snapshots.
  func recordListening(in text: String) { model.recordListening(AddressClaim.listening(in: text)) }

  /// Skips the services and sections whose addresses this host cannot listen on; see ``ProxyModel/setUnbindable(_:)``.
  func setUnbindable(_ reasons: [LineOrigin: String]) { if model.setUnbindable(reasons) { changed() } }

  /// Sets the version of the HAProxy that is to load the file.
  /// - Returns: whether the model has changed by it.
  func setVersion(_ version: HAProxyVersion?) -> Bool {
    guard let version, model.setVersion(version) else { return false }
    changed()
    return true
  }

  /// Forgets servers that have been gone for long.
  func expire() { if model.expire(now: Int(clock.unixTime)) { changed() } }

  /// Skips what HAProxy has refused of a model that was this one.
  /// - Parameter revision: the number of changes when it was this one.
  /// - Returns: the revision that the settled model's file has.
  func adopt(_ settled: ProxyModel, of revision: Int) -> Int {
    let isSame = revision == self.revision
    guard model.adoptRefusals(of: settled) else { return revision }
    changed()
    return isSame ? self.revision : revision
  }

  // MARK: Questions

  /// The model, and the services whose servers have changed since the last call; nil: anything may have.
  func takeChanges() -> (model: ProxyModel, services: Set<String>?) {
    defer { changedServices = [] }
    return (model, changedServices)
  }

  /// The state file's content.
  func stateFile() -> [UInt8] { model.stateFile(now: Int(clock.unixTime)) }

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
