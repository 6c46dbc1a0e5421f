internal import SmartStack

/// What does not change with a service's servers, shared by all of them.
struct SharedContext: Sendable {
  var settings: GeneratorSettings
  var base = BaseSections()
  var skipped = SkippedParts()
}

/// One service's part of the file.
struct ServiceSections: Sendable {
  var frontend: Section?
  var backend: Section?
  /// What it adds to the shared frontend.
  var shared: [ConfigLine] = []
  var traits = BackendTraits([])
  var problems: [ConfigProblem] = []

  /// A service that is skipped.
  init(problems: [ConfigProblem]) { self.problems = problems }

  /// - Parameters:
  ///   - entries: the servers to write, remembered ones included, in the order of first sight.
  ///   - registry: the names of the live ones in the registry's order.
  init(
    _ settings: ServiceSettings, entries: [(name: String, entry: ServerMemory.Entry)], registry: [String],
    context: SharedContext, validator: inout ServerValidator
  ) {
    let unit = LineOrigin.service(settings.service, .section, nil)
    if let problem = settings.problem ?? context.skipped.problem(of: unit) {
      problems = [problem]
      return
    }
    var filter = LineFilter(context.settings, skipped: context.skipped)
    let backendLines = ServiceSections.lines(of: settings, in: .backend, filter: &filter)
    traits = BackendTraits([context.base.defaults, backendLines])
    let builder: ServerLineBuilder
    do throws(ServerProblem) {
      builder = try ServerLineBuilder(
        options: settings.serverOptions,
        usesWeights: settings.usesNerveWeights ?? context.settings.usesNerveWeights,
        hashesCookies: settings.hashesCookies, traits: traits)
    } catch {
      problems = [settings.bad(error.description, at: .serverOptions)]
      return
    }
    let frontend = ServiceSections.frontend(of: settings, in: context, filter: &filter)
    if !filter.lostProtections.isEmpty {
      problems = filter.problems + filter.lostProtections
      return
    }
    shared = ServiceSections.shared(by: settings, in: context, filter: &filter)
    problems = filter.problems + filter.lostProtections
    if let refusal = context.skipped.refusal(of: .service(settings.service, .sharedFrontend, nil)) {
      problems.append(refusal)
    }
    let ordered = ServiceSections.ordered(entries, for: settings, in: context, registry: registry)
    let servers = servers(of: settings, entries: ordered, in: context, builder: builder, validator: &validator)
    self.frontend = frontend
    backend = Section(
      ConfigLine(text: "backend \(settings.backendSection)", origin: .service(settings.service, .backend, nil)),
      lines: backendLines, servers: servers, service: settings.service)
  }

  private static func lines(
    of settings: ServiceSettings, in place: Directives.Place, filter: inout LineFilter
  ) -> [ConfigLine] {
    let service = settings.service
    if place == .frontend {
      return filter.directives(settings.frontend, in: place) { .service(service, .frontend, $0) }
        + filter.listen(settings.listen, in: place) { .service(service, .listenInFrontend, $0) }
    }
    let lines = filter.directives(settings.backend, in: place) { .service(service, .backend, $0) }
    return filter.withoutBrokenCheck(
      lines + filter.listen(settings.listen, in: place) { .service(service, .listenInBackend, $0) })
  }

  private static func frontend(
    of settings: ServiceSettings, in context: SharedContext, filter: inout LineFilter
  ) -> Section? {
    guard let bind = settings.bind(defaultAddress: context.settings.bindAddress) else { return nil }
    let generated = LineOrigin.service(settings.service, .frontend, nil)
    var lines = lines(of: settings, in: .frontend, filter: &filter)
    lines.append(ConfigLine(text: "bind \(bind)", origin: .service(settings.service, .port, nil)))
    lines.append(ConfigLine(text: "default_backend \(settings.backendSection)", origin: generated))
    return Section(ConfigLine(text: "frontend \(settings.service)", origin: generated), lines: lines)
  }

  private static func shared(
    by settings: ServiceSettings, in context: SharedContext, filter: inout LineFilter
  ) -> [ConfigLine] {
    let unit = LineOrigin.service(settings.service, .sharedFrontend, nil)
    guard let lines = settings.sharedFrontend, context.base.sharedLines != nil,
      context.skipped.refusal(of: unit) == nil
    else { return [] }
    let written = filter.directives(lines, in: .frontend) { .service(settings.service, .sharedFrontend, $0) }
    return filter.lostProtections.isEmpty ? written : []
  }

  private mutating func servers(
    of settings: ServiceSettings, entries: [(name: String, entry: ServerMemory.Entry)], in context: SharedContext,
    builder: ServerLineBuilder, validator: inout ServerValidator
  ) -> [WantedServer] {
    var servers: [WantedServer] = []
    servers.reserveCapacity(entries.count)
    for (name, entry) in entries {
      let server = builder.server(
        name, entry: entry, registered: entry.backend.haproxyServerOptions.flatMap { try? validator.options($0) })
      let origin = LineOrigin.server(service: settings.service, name: name)
      if traits.ownServers.contains(name) {
        problems.append(
          ConfigProblem(.skipped, at: origin, message: "the backend's own lines have a server of that name"))
      } else if let message = context.skipped.message(origin, text: server.enabledLine) {
        problems.append(
          ConfigProblem(.skipped, at: origin, message: "HAProxy refuses \(server.enabledLine.quoted): \(message)"))
      } else {
        servers.append(server)
      }
    }
    return servers
  }

  private static func ordered(
    _ entries: [(name: String, entry: ServerMemory.Entry)], for settings: ServiceSettings, in context: SharedContext,
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
  private static func rank(_ name: String, seed: String) -> Double {
    var hash = StableHash()
    hash.add(word: seed.utf8)
    hash.add(word: name.utf8)
    return hash.share
  }
}

extension ServiceSettings {
  /// What is wrong with it whatever else there is; nil: nothing.
  var problem: ConfigProblem? {
    guard ServerText.isName(service) else { return bad("its name may have letters, digits and -_.: only") }
    guard ServerText.isName(backendSection) else {
      return bad("backend_name \(backendSection.quoted) may have letters, digits and -_.: only")
    }
    if case .number(let port) = port, port.isEmpty || !port.utf8.allSatisfy({ $0.isDigit || $0 == 0x2D }) {
      return bad("\(port.quoted) is not a port", at: .port)
    }
    if let problem = problem(ofLine: bindAddress, key: "bind_address") { return problem }
    if let problem = problem(ofLine: bindOptions, key: "bind_options") { return problem }
    do throws(ServerProblem) {
      _ = try ServerLineBuilder(
        options: serverOptions, usesWeights: false, hashesCookies: false, traits: BackendTraits([]))
      return nil
    } catch {
      return bad(error.description, at: .serverOptions)
    }
  }

  private func problem(ofLine text: String?, key: String) -> ConfigProblem? {
    guard let text, !text.isOneLine else { return nil }
    return bad("\(key) \(text.quoted) has control characters")
  }

  func bad(_ message: String, at part: ServicePart = .section) -> ConfigProblem {
    ConfigProblem(.badService, at: .service(service, part, nil), message: message)
  }
}
