public import SmartStack

/// The configuration that is wanted: everything the file says, kept up to date service by service.
public struct ProxyModel: Sendable {
  /// One service as configured and as last seen.
  struct Service: Sendable {
    var settings: ServiceSettings
    /// What was wrong with a section of the registry.
    var registryProblems: [ConfigProblem] = []
    /// The live servers' names in the registry's order.
    var registry: [String] = []
    /// What was wrong with registrations.
    var skipped: [ConfigProblem] = []
    /// The hosts of the live servers that are names.
    var hostNames: Set<String> = []
    var sections: ServiceSections
  }

  /// Settings of the top-level section.
  public private(set) var settings: GeneratorSettings
  /// What is known of servers that were there: ids, and those that left.
  public private(set) var memory: ServerMemory

  private(set) var context: SharedContext
  let order: [String]
  /// Names that sections other than services' have.
  private let foreignNames: Set<String>
  private(set) var services: [String: Service] = [:]
  private var validator = ServerValidator()
  /// The service that has the backend of a name.
  private var owners: [String: String] = [:]
  /// The addresses of the sections as HAProxy has them: who has one keeps it.
  private var activeAddresses: [String: Set<ListenAddress>] = [:]
  /// The backends of services that are in the file.
  private var writtenBackends: Set<String> = []

  /// A model in which every service has the servers that `memory` remembers, as ones that left.
  /// Services appear in the file in this order; of two with one name the first counts.
  public init(settings: GeneratorSettings, services: [ServiceSettings], memory: ServerMemory) {
    self.settings = settings
    self.memory = memory
    context = SharedContext(settings: settings)
    foreignNames = BaseSections.names(settings)
    var order: [String] = []
    for service in services where self.services[service.service] == nil {
      order.append(service.service)
      self.services[service.service] = Service(settings: service, sections: ServiceSections(problems: []))
    }
    self.order = order
    buildAll()
  }

  /// What was worked around, in the file's order.
  public var problems: [ConfigProblem] {
    context.base.problems
      + order.flatMap { name in services[name].map { $0.sections.problems + $0.registryProblems + $0.skipped } ?? [] }
  }

  /// Applies a service's servers as they are at `now` (Unix time, seconds). Unknown services are ignored.
  public mutating func apply(_ snapshot: ServiceSnapshot, now: Int) {
    guard services[snapshot.service] != nil else { return }
    let live = accept(snapshot)
    let messages = memory.observe(
      live.servers, of: snapshot.service, reserved: services[snapshot.service]?.sections.traits.ownIDs ?? [],
      maxServerID: settings.maxServerID, ttl: settings.stateFileTTL, now: now)
    let doubts = messages.map {
      ConfigProblem(.doubt, at: .server(service: snapshot.service, name: $0.name), message: $0.message)
    }
    let known = services[snapshot.service]?.registry ?? []
    services[snapshot.service]?.registry = live.servers.map(\.name)
    services[snapshot.service]?.hostNames = Set(live.servers.lazy.map(\.backend.host).filter(HostAddresses.isName))
    let conflicts = snapshot.conflicts.map {
      ConfigProblem(.doubt, at: .server(service: snapshot.service, name: $0.server), message: $0.message)
    }
    services[snapshot.service]?.skipped = live.skipped + doubts + conflicts
    context.skipped.forget(service: snapshot.service) { memory.entry($0, of: snapshot.service) != nil }
    if context.skipped.forget(mentioning: Set(live.servers.map(\.name)).subtracting(known)) {
      buildAll()
    } else {
      build(snapshot.service)
    }
  }

  /// Records the ids that servers have in a running HAProxy, before the first snapshots: without a state
  /// file they would get others, which would mean a reload. Servers whose id is known already keep it.
  public mutating func recordIDs(of running: RunningProxy) {
    for (name, service) in services {
      guard let servers = running.backends[service.settings.backendSection] else { continue }
      memory.record(running: servers.mapValues(\.id), of: name)
      memory.addresses.record(running: servers.compactMapValues(\.address), of: name)
    }
  }

  /// The hosts of live servers that are names, to be looked up.
  public var hostNames: Set<String> { services.values.reduce(into: []) { $0.formUnion($1.hostNames) } }

  /// Records what look-ups of host names have found; a failure leaves the last address as it was.
  /// - Returns: the services whose servers have changed by it.
  public mutating func recordLookUps(_ outcomes: [String: Result<String, OperatorError>]) -> Set<String> {
    let news = Set(outcomes.filter { memory.addresses.record($0.value, of: $0.key) }.keys)
    let changed = order.filter { services[$0].map { !$0.hostNames.isDisjoint(with: news) } ?? false }
    for name in changed { build(name) }
    return Set(changed)
  }

  /// Sets the version of the HAProxy that is to load the file; nil: unknown.
  /// - Returns: whether it is another one than before.
  public mutating func setVersion(_ version: HAProxyVersion?) -> Bool {
    guard settings.version != version else { return false }
    settings.version = version
    context.settings.version = version
    buildAll()
    return true
  }

  /// Replaces the settings of a known service, as its registry may hold.
  /// - Parameter problems: what was skipped of the registry's section.
  public mutating func replace(_ settings: ServiceSettings, problems: [ConfigProblem] = []) {
    services[settings.service]?.registryProblems = problems
    guard let before = services[settings.service], before.settings != settings else { return }
    services[settings.service]?.settings = settings
    let wasRefused = context.skipped.refusal(of: .service(settings.service, .section, nil)) != nil
    context.skipped.forget(service: settings.service)
    let namesChanged =
      before.settings.backendSection != settings.backendSection || before.settings.isDisabled != settings.isDisabled
    let addressesChanged =
      claims(of: before.settings).map(\.address) != claims(of: settings).map(\.address)
      || before.settings.isFromRegistry != settings.isFromRegistry
    if namesChanged || addressesChanged || wasRefused { buildAll() } else { build(settings.service) }
  }

  /// Replaces the settings of a known service by what the registry makes of those that are configured; by these, if it
  /// asks for an address that another service has.
  public mutating func replace(
    _ settings: ServiceSettings, problems: [ConfigProblem], orElse configured: ServiceSettings
  ) {
    replace(settings, problems: problems)
    if settings.isFromRegistry, let conflict = addressConflict(of: settings.service) {
      replace(configured, problems: [conflict])
    }
  }

  /// Replaces the services under the same settings; they have the servers that are remembered, as ones that left.
  public mutating func replaceServices(_ services: [ServiceSettings]) {
    let addresses = listening
    // With the version of the HAProxy that is to load the file.
    self = ProxyModel(settings: settings, services: services, memory: memory)
    recordListening(addresses)
  }

  // MARK: Addresses

  /// Every address that a service or a section wants to listen on, skipped ones included.
  public var claims: [AddressClaim] {
    settings.claims + order.flatMap { name in services[name].map { claims(of: $0.settings) } ?? [] }
  }

  private func claims(of service: ServiceSettings) -> [AddressClaim] {
    service.claims(defaultAddress: settings.bindAddress)
  }

  /// The addresses of the sections as they are written, by the sections' first lines.
  public var listening: [String: Set<ListenAddress>] {
    claims.reduce(into: [:]) { listening, claim in
      if context.skipped.problem(of: claim.unit) == nil { listening[claim.section, default: []].insert(claim.address) }
    }
  }

  /// Why a service does not get its address; nil: it does.
  public func addressConflict(of service: String) -> ConfigProblem? {
    context.skipped.conflicts[.service(service, .section, nil)]
  }

  /// Records where sections listen in HAProxy: of two that want an address, the one that has it keeps it.
  public mutating func recordListening(_ addresses: [String: Set<ListenAddress>]) {
    guard activeAddresses != addresses else { return }
    activeAddresses = addresses
    buildAll()
  }

  /// Why services and sections are skipped whose addresses this host cannot listen on.
  public var unbindable: [LineOrigin: String] { context.skipped.unbindable }

  /// Skips the services and sections whose addresses this host cannot listen on.
  /// - Parameter reasons: why, by unit; what was skipped before and is not among them is written again.
  /// - Returns: whether the file changes by it.
  public mutating func setUnbindable(_ reasons: [LineOrigin: String]) -> Bool {
    let before = context.skipped.unbindable
    guard before != reasons else { return false }
    context.skipped.unbindable = reasons
    buildAll()
    return true
  }

  /// Forgets servers whose time is over; true if the file changes by it.
  public mutating func expire(now: Int) -> Bool {
    let changed = memory.expire(ttl: settings.stateFileTTL, now: now)
    guard settings.keepsGoneServers else { return false }
    for name in changed { build(name) }
    return changed.contains { services[$0] != nil }
  }

  // MARK: Refusals

  /// Skips what `haproxy -c` refused of the file that was rendered from this model.
  /// - Returns: whether anything could be skipped, so that rendering and checking again makes sense.
  public mutating func skip(refusedBy alerts: [CheckAlert], of file: RenderedConfiguration) -> Bool {
    skip(
      alerts.compactMap { alert in culprit(of: alert, in: file).flatMap { refusal(of: $0, message: alert.message) } })
  }

  /// Skips parts that ``UnitSearch`` has found.
  /// - Returns: whether any of them is news.
  public mutating func skip(_ found: [(part: LineOrigin, message: String)]) -> Bool {
    skip(
      found.map { part, message in
        (part, SkippedParts.Refusal(text: lineText(of: part), message: message, place: part))
      })
  }

  private mutating func skip(_ refusals: [(part: LineOrigin, refusal: SkippedParts.Refusal)]) -> Bool {
    var changed: Set<String> = []
    var isBaseChanged = false
    for (part, refusal) in refusals where context.skipped.add(refusal, of: part) {
      // What is skipped as a whole leaves its address to others.
      if let service = part.service, part != part.unit { changed.insert(service) } else { isBaseChanged = true }
    }
    if isBaseChanged {
      buildAll()
    } else {
      for name in changed { build(name) }
    }
    return isBaseChanged || !changed.isEmpty
  }

  /// Whether HAProxy refused the same of `other`.
  public func hasRefusals(of other: ProxyModel) -> Bool { context.skipped.refused == other.context.skipped.refused }

  /// Skips what HAProxy refused of `other`, a model with the same settings, and nothing else that it refused.
  /// - Returns: whether the file may change by it.
  public mutating func adoptRefusals(of other: ProxyModel) -> Bool {
    guard context.skipped.adoptRefusals(of: other.context.skipped) else { return false }
    buildAll()
    return true
  }

  /// The texts that HAProxy refused, each with its words.
  public var refusedTexts: Set<String> { context.skipped.texts }

  /// A model in which nothing is refused by HAProxy, to be checked again.
  public func withoutRefusals() -> ProxyModel {
    var model = self
    model.context.skipped.forgetRefusals()
    model.buildAll()
    return model
  }

  /// Renders the whole file.
  public func render() -> RenderedConfiguration { RenderedConfiguration(sections: sections) }

  /// Renders the file without some parts; see ``UnitSearch``.
  public func render(without parts: Set<LineOrigin>) -> RenderedConfiguration {
    RenderedConfiguration(sections: sections(without: parts))
  }

  /// The state file's content at `now` (Unix time, seconds), in upstream's format. Servers that are there
  /// count as seen at `now`.
  /// - Returns: its parts, made when they are asked for.
  public func stateFile(now: Int) -> some Sequence<[UInt8]> {
    memory.stateFile(configurations: services.mapValues(\.settings.stateJSON), now: now)
  }
}

// MARK: - Building

extension ProxyModel {
  private mutating func buildAll() {
    owners = [:]
    for name in order {
      guard let settings = services[name]?.settings, !settings.isDisabled else { continue }
      if owners[settings.backendSection] == nil { owners[settings.backendSection] = name }
    }
    // What is skipped anyway takes no address from others.
    let rivals = claims.filter { claim in
      guard context.skipped.refusal(of: claim.unit) == nil else { return false }
      guard let service = claim.unit.service.flatMap({ services[$0]?.settings }) else { return true }
      return service.problem == nil && conflict(service) == nil
    }
    context.skipped.conflicts = AddressClaim.conflicts(rivals, active: activeAddresses)
    context.base = BaseSections(settings, skipped: context.skipped)
    for name in order { build(name) }
    activeAddresses = listening
    // What was refused for want of a backend has another chance when that is there.
    let known = writtenBackends
    writtenBackends = Set(services.values.lazy.filter { $0.sections.backend != nil }.map(\.settings.backendSection))
    if context.skipped.forget(mentioning: writtenBackends.subtracting(known)) { buildAll() }
  }

  private mutating func build(_ name: String) {
    guard let service = services[name] else { return }
    guard !service.settings.isDisabled else {
      services[name]?.sections = ServiceSections(problems: [])
      return
    }
    if let owner = conflict(service.settings) {
      services[name]?.sections = ServiceSections(problems: [service.settings.bad(owner)])
      return
    }
    let (entries, unknown) = writableServers(of: name)
    var built = ServiceSections(
      service.settings, entries: entries, registry: service.registry, context: context, validator: &validator)
    if service.settings.sharedFrontend != nil, settings.sharedFrontend == nil {
      let message = "skipped, as the top level has no shared_frontend"
      built.problems.append(ConfigProblem(.skipped, at: .service(name, .sharedFrontend, nil), message: message))
    }
    built.problems += unknown
    services[name]?.sections = built
  }

  /// The servers whose address is known, and what is wrong with the others.
  private func writableServers(
    of service: String
  ) -> (servers: [(name: String, entry: ServerMemory.Entry)], problems: [ConfigProblem]) {
    var servers: [(name: String, entry: ServerMemory.Entry)] = []
    var problems: [ConfigProblem] = []
    for (name, entry) in memory.entries(of: service) where settings.keepsGoneServers || entry.isLive {
      var entry = entry
      if let resolved = memory.addresses.resolved(entry.backend, of: service) {
        entry.backend = resolved
        servers.append((name, entry))
      } else if entry.isLive {
        let message = memory.addresses.problem(of: entry.backend.host)
        problems.append(ConfigProblem(.skipped, at: .server(service: service, name: name), message: message))
      }
    }
    return (servers, problems)
  }

  /// Whether another section has the name of one of this service's: the first in the file keeps it.
  private func conflict(_ settings: ServiceSettings) -> String? {
    let backend = settings.backendSection
    if foreignNames.contains("backend \(backend)") { return "section `backend \(backend)` is there already" }
    if settings.port != .omitted, foreignNames.contains("frontend \(settings.service)") {
      return "section `frontend \(settings.service)` is there already"
    }
    guard let owner = owners[backend], owner != settings.service else { return nil }
    return "its backend `\(backend)` is service \(owner)'s already; two services cannot share one"
  }

  /// The servers of a snapshot that can be written, one per name, and what is wrong with the others.
  private mutating func accept(
    _ snapshot: ServiceSnapshot
  ) -> (servers: [(name: String, backend: Backend, id: Int?)], skipped: [ConfigProblem]) {
    var servers: [(name: String, backend: Backend, id: Int?)] = []
    var positions: [String: Int] = [:]
    var skipped: [ConfigProblem] = []
    servers.reserveCapacity(snapshot.backends.count)
    for backend in snapshot.backends {
      let name = backend.serverName
      do throws(ServerProblem) {
        let id = try validator.admit(backend)
        if let at = positions[name] {
          // Registered twice, as after an outage: the newer registration counts, at the older one's place.
          if (backend.id ?? Int.min) >= (servers[at].backend.id ?? Int.min) { servers[at] = (name, backend, id) }
        } else {
          positions[name] = servers.count
          servers.append((name, backend, id))
        }
      } catch {
        let origin = LineOrigin.server(service: snapshot.service, name: String(name.quoted.dropFirst().dropLast()))
        skipped.append(ConfigProblem(.skipped, at: origin, message: "skipped: \(error)"))
      }
    }
    return (servers, skipped)
  }
}
