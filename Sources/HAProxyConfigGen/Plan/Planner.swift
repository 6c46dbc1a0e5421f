internal import SmartStack

/// Compares what runs with what is wanted, and plans.
public struct Planner {
  private let running: RunningProxy
  private let loaded: LoadedConfiguration?
  /// Sections that HAProxy has with other lines than the file's.
  private var outdated: Set<String> = []
  private var plan = Plan()

  private init(running: RunningProxy, loaded: LoadedConfiguration?) {
    self.running = running
    self.loaded = loaded
    if loaded == nil {
      plan.reloadReasons.append(ReloadReason("it is not known which configuration HAProxy has loaded"))
    }
  }

  /// What to do so that `running` serves what `wanted` says.
  /// - Parameter loaded: what HAProxy has loaded; nil when that is not known, which means a reload.
  public static func plan(running: RunningProxy, loaded: LoadedConfiguration?, wanted: ProxyModel) -> Plan {
    var planner = Planner(running: running, loaded: loaded)
    planner.compareSections(wanted.sections, isComplete: true)
    for backend in wanted.backends { planner.compare(backend.section, name: backend.name, traits: backend.traits) }
    planner.openFrontends(of: wanted)
    return planner.plan
  }

  /// What to do for some services, when everything else is known to be in sync and only the servers of these have
  /// changed. The cost depends on these services, not on the number of all.
  public static func plan(
    running: RunningProxy, loaded: LoadedConfiguration?, wanted: ProxyModel, services: Set<String>
  ) -> Plan {
    var planner = Planner(running: running, loaded: loaded)
    planner.compareSections(wanted.sections(of: services), isComplete: false)
    for backend in wanted.backends(of: services.sorted()) {
      planner.compare(backend.section, name: backend.name, traits: backend.traits)
    }
    return planner.plan
  }

  /// The number of servers that HAProxy keeps in memory and that the file has no more: in maintenance, until a reload or,
  /// from 2.6.13 on, until their last connection ends. When they pile up, a reload at leisure drops them.
  public static func leftovers(running: RunningProxy, wanted: ProxyModel) -> Int {
    wanted.backends.reduce(0) { count, backend in
      let servers = running.backends[backend.name] ?? [:]
      return count + leftovers(in: servers, section: backend.section, traits: backend.traits).count
    }
  }

  /// The servers of a running backend that are neither in the section nor the configuration's own.
  private static func leftovers(
    in running: [String: RunningServer], section: Section, traits: BackendTraits
  ) -> [(key: String, value: RunningServer)] {
    let written = section.managed?.servers ?? [:]
    return running.filter { written[$0.key] == nil && !traits.isForeign($0.key) }.sorted { $0.key < $1.key }
  }

  // MARK: Sections

  /// - Parameter isComplete: whether what is not among `sections` ought not to be there.
  private mutating func compareSections(_ sections: [Section], isComplete: Bool) {
    guard let loaded else { return }
    let wanted = LoadedConfiguration(sections: sections).sections
    let foreign = Dictionary(
      sections.lazy.compactMap { section in section.foreignServers.map { (section.header.text, $0) } }
    ) { $1 }
    let owners = Dictionary(
      sections.lazy.compactMap { section in
        (section.service ?? section.header.origin.service).map { (section.header.text, $0) }
      }
    ) { $1 }
    for (header, print) in wanted {
      guard let before = loaded.sections[header] else {
        plan.reloadReasons.append(ReloadReason("section `\(header)` is new", service: owners[header]))
        outdated.insert(header)
        continue
      }
      let servers =
        foreign[header]?.allSatisfy { before.servers[$0.key] == $0.value } ?? (before.servers == print.servers)
      if before.lines != print.lines || !servers {
        plan.reloadReasons.append(ReloadReason("section `\(header)` has changed", service: owners[header]))
        outdated.insert(header)
      }
    }
    if isComplete {
      plan.reloadReasons += loaded.sections.keys.filter { wanted[$0] == nil }
        .map { ReloadReason("section `\($0)` was removed") }
    }
    plan.reloadReasons.sort()
  }

  /// Frontends of services that somebody has closed at the socket; those of the operator's own sections stay closed.
  private mutating func openFrontends(of wanted: ProxyModel) {
    let closed = running.pausedFrontends.union(running.stoppedFrontends).sorted()
    if closed.isEmpty { return }
    let ours = Set(
      wanted.sections.lazy.filter { section in
        switch section.header.origin {
        case .service, .sharedFrontend: true
        case .fixed, .agent, .global, .defaults, .extra, .server: false
        }
      }.map(\.header.text))
    for name in closed where ours.contains("frontend \(name)") {
      if running.stoppedFrontends.contains(name) {
        plan.reloadReasons.append(ReloadReason("frontend \(name) was shut down at the socket"))
      } else {
        plan.changes.append(.enableFrontend(name))
      }
    }
  }

  // MARK: Servers

  private mutating func compare(_ section: Section, name: String, traits: BackendTraits) {
    let header = section.header.text
    guard let servers = running.backends[name] else {
      if loaded?.sections[header] != nil {
        plan.reloadReasons.append(ReloadReason("section `\(header)` is new", service: section.service))
      }
      return
    }
    var planner = BackendPlanner(
      name: name, service: section.service, running: servers, version: running.version, traits: traits,
      loaded: loaded?.sections[header]?.servers, wanted: section.managed?.servers ?? [:],
      isOutdated: loaded == nil || outdated.contains(header))
    var found = 0
    for server in section.servers {
      if let present = servers[server.name] {
        found += 1
        plan.add(planner.change(of: server, from: present))
      } else if server.isEnabled {
        plan.add(planner.arrival(of: server))
      }
    }
    guard found < servers.count else { return }
    for (server, present) in Planner.leftovers(in: servers, section: section, traits: traits) {
      plan.departures += planner.departure(of: server, from: present)
    }
  }
}
