internal import SmartStack

/// What does not change with a service's servers, shared by all of them.
struct SharedContext: Sendable {
  var settings: GeneratorSettings
  /// Lines of the `defaults` section that services build on.
  var defaults: [ConfigLine]
  /// Names that sections other than services' have: `backend stats`.
  var foreignNames: Set<String>
  /// The shared frontend's own lines.
  var sharedLines: [ConfigLine] = []
  var refusals: Refusals
}

/// One service's part of the file.
struct ServiceSections: Sendable {
  var frontend: Section?
  var backend: Section?
  /// What it adds to the shared frontend.
  var shared: [ConfigLine] = []
  var facts = BackendFacts([])
  var problems: [ConfigProblem] = []

  /// A service that is left out.
  init(problems: [ConfigProblem]) { self.problems = problems }

  /// - Parameters:
  ///   - entries: the servers to write, remembered ones included, in the order of first sight.
  ///   - registry: the names of the live ones in the registry's order.
  init(
    _ settings: ServiceSettings, entries: [(name: String, entry: ServerMemory.Entry)], registry: [String],
    context: SharedContext, admission: inout Admission
  ) {
    if let problem = ServiceSections.problem(settings, context) {
      problems = [problem]
      return
    }
    var filter = LineFilter(context.settings, refusals: context.refusals)
    let backendLines = ServiceSections.lines(settings, in: .backend, &filter)
    facts = BackendFacts([context.defaults, backendLines])
    let builder: ServerLineBuilder
    do throws(UnknownServerOption) {
      builder = try ServerLineBuilder(
        options: settings.serverOptions,
        usesWeights: settings.usesNerveWeights ?? context.settings.usesNerveWeights,
        cookies: settings.cookieValueMethod, facts: facts)
    } catch {
      problems = [settings.bad("server_options: \(error.word) \(error.reason)")]
      return
    }
    let frontend = ServiceSections.frontend(settings, context, &filter)
    shared = ServiceSections.shared(settings, context, &filter)
    problems = filter.problems
    let servers = servers(settings, entries, registry, context, builder, &admission)
    self.frontend = frontend
    backend = Section(
      ConfigLine(text: "backend \(settings.backendSection)", origin: .service(settings.service, .backend, nil)),
      backendLines, servers: servers, service: settings.service)
  }

  private static func problem(_ settings: ServiceSettings, _ context: SharedContext) -> ConfigProblem? {
    if let message = context.refusals.message(service: settings.service) {
      return settings.bad("HAProxy refuses it: \(message)")
    }
    guard ServerText.isName(settings.service) else {
      return settings.bad("its name may have letters, digits and -_.: only")
    }
    guard ServerText.isName(settings.backendSection) else {
      return settings.bad("backend_name \(settings.backendSection.quoted) may have letters, digits and -_.: only")
    }
    if case .number(let port) = settings.port, port.isEmpty || !port.utf8.allSatisfy({ $0.isDigit || $0 == 0x2D }) {
      return settings.bad("port \(port.quoted) is no port")
    }
    for (key, text) in [("bind_address", settings.bindAddress), ("bind_options", settings.bindOptions)] {
      if let text, text.hasControlBytes { return settings.bad("\(key) \(text.quoted) has control characters") }
    }
    return nil
  }

  private static func lines(
    _ settings: ServiceSettings, in place: Directives.Place, _ filter: inout LineFilter
  ) -> [ConfigLine] {
    let service = settings.service
    return place == .frontend
      ? filter.directives(settings.frontend, in: place) { .service(service, .frontend, $0) }
        + filter.listen(settings.listen, in: place) { .service(service, .listenInFrontend, $0) }
      : filter.directives(settings.backend, in: place) { .service(service, .backend, $0) }
        + filter.listen(settings.listen, in: place) { .service(service, .listenInBackend, $0) }
  }

  private static func frontend(
    _ settings: ServiceSettings, _ context: SharedContext, _ filter: inout LineFilter
  ) -> Section? {
    let generated = LineOrigin.service(settings.service, .frontend, nil)
    var bind = "bind " + (settings.bindAddress ?? context.settings.bindAddress)
    switch settings.port {
    case .omitted: return nil
    case .none: break
    case .number(let port): bind += ":" + port
    }
    if let options = settings.bindOptions?.trimmedBlanks, !options.isEmpty { bind += " " + options }
    var lines = lines(settings, in: .frontend, &filter)
    lines.append(ConfigLine(text: bind, origin: generated))
    lines.append(ConfigLine(text: "default_backend \(settings.backendSection)", origin: generated))
    return Section(ConfigLine(text: "frontend \(settings.service)", origin: generated), lines)
  }

  private static func shared(
    _ settings: ServiceSettings, _ context: SharedContext, _ filter: inout LineFilter
  ) -> [ConfigLine] {
    guard let lines = settings.sharedFrontend, context.settings.sharedFrontend != nil else { return [] }
    return filter.directives(lines, in: .frontend) { .service(settings.service, .sharedFrontend, $0) }
  }

  private mutating func servers(
    _ settings: ServiceSettings, _ entries: [(name: String, entry: ServerMemory.Entry)], _ registry: [String],
    _ context: SharedContext, _ builder: ServerLineBuilder, _ admission: inout Admission
  ) -> [WantedServer] {
    var servers: [WantedServer] = []
    servers.reserveCapacity(entries.count)
    for (name, entry) in ServiceSections.ordered(entries, settings, context, registry: registry) {
      let server = builder.server(
        name, entry, entry.backend.haproxyServerOptions.flatMap { try? admission.options($0) })
      let origin = LineOrigin.server(service: settings.service, name: name)
      if facts.ownServers.contains(name) {
        problems.append(ConfigProblem(.leftOut, origin, "the backend's own lines have a server of that name"))
      } else if let message = context.refusals.message(origin, text: server.enabledLine) {
        problems.append(ConfigProblem(.leftOut, origin, "HAProxy refuses \(server.enabledLine.quoted): \(message)"))
      } else {
        servers.append(server)
      }
    }
    return servers
  }

  private static func ordered(
    _ entries: [(name: String, entry: ServerMemory.Entry)], _ settings: ServiceSettings, _ context: SharedContext,
    registry: [String]
  ) -> [(name: String, entry: ServerMemory.Entry)] {
    let seed = context.settings.serverOrderSeed
    switch settings.backendOrder {
    case .ascending: return entries.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    case .descending: return entries.sorted { $1.name.utf8.lexicographicallyPrecedes($0.name.utf8) }
    case .registry where context.settings.keepsGoneServers: return entries
    case .registry:
      let position = Dictionary(uniqueKeysWithValues: zip(registry, 0...))
      return entries.sorted { position[$0.name, default: -1] < position[$1.name, default: -1] }
    case .shuffle:
      return entries.map { (rank: rank($0.name, seed: seed), server: $0) }
        .sorted { ($0.rank, $0.server.name) < ($1.rank, $1.server.name) }.map(\.server)
    }
  }

  /// Where a server stands in a shuffle: a number of its own, so that others coming and going do not move it.
  private static func rank(_ name: String, seed: String) -> UInt64 {
    var print = StableHash()
    print.add(word: seed.utf8)
    print.add(word: name.utf8)
    // FNV's high bits hardly depend on the last bytes; a finalizer (SplitMix64) spreads them.
    var value = print.value
    value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
    return value ^ value >> 31
  }
}

extension ServiceSettings {
  func bad(_ message: String) -> ConfigProblem { ConfigProblem(.badService, .service(service, .backend, nil), message) }
}
