internal import SmartStack

/// Compares and plans.
public enum Planner {
  /// What to do so that `running` serves what `wanted` says.
  /// - Parameter loaded: what HAProxy has loaded; nil when that is not known, which means a reload.
  public static func plan(running: RunningProxy, loaded: LoadedConfiguration?, wanted: ProxyModel) -> Plan {
    var planning = Planning(running: running, loaded: loaded)
    planning.compareSections(wanted.sections)
    for backend in wanted.backends { planning.compare(backend.section, name: backend.name, backend.facts) }
    let commands = planning.arrivals + planning.changes + planning.departures
    if !planning.reasons.isEmpty { return .reload(because: planning.reasons, meanwhile: commands) }
    return commands.isEmpty ? .nothing : .commands(commands)
  }
}

/// One run of the planner.
private struct Planning {
  private let running: RunningProxy
  private let loaded: LoadedConfiguration?
  /// Sections that HAProxy has with other lines than the file's.
  private var outdated: Set<String> = []
  private(set) var reasons: [ReloadReason] = []
  /// Servers that come, first: capacity is added before it is taken away.
  private(set) var arrivals: [RuntimeCommand] = []
  private(set) var changes: [RuntimeCommand] = []
  private(set) var departures: [RuntimeCommand] = []

  init(running: RunningProxy, loaded: LoadedConfiguration?) {
    self.running = running
    self.loaded = loaded
    if loaded == nil { reasons.append(.unknownConfiguration) }
  }

  // MARK: Sections

  mutating func compareSections(_ sections: [Section]) {
    guard let loaded else { return }
    let wanted = LoadedConfiguration(sections: sections).sections
    let own = Dictionary(
      sections.lazy.filter { $0.service != nil }.map { ($0.header.text, Set($0.servers.map(\.name))) },
      uniquingKeysWith: { $1 })
    for (header, print) in wanted {
      guard let before = loaded.sections[header] else {
        reasons.append(.sectionAdded(header))
        outdated.insert(header)
        continue
      }
      let managed = own[header]
      let isSame = before.lines == print.lines && Planning.haveSame(before.servers, print.servers, but: managed)
      if !isSame {
        reasons.append(.sectionChanged(header))
        outdated.insert(header)
      }
    }
    reasons += loaded.sections.keys.filter { wanted[$0] == nil }.map { .sectionRemoved($0) }
    reasons.sort { $0.description < $1.description }
  }

  /// Whether the servers that synapse does not manage are the same, to the word.
  /// - Parameter managed: names of those it does; nil when the whole section is not synapse's.
  private static func haveSame(
    _ before: [String: SectionPrint.Server], _ after: [String: SectionPrint.Server], but managed: Set<String>?
  ) -> Bool {
    guard let managed else { return before == after }
    return after.allSatisfy { managed.contains($0.key) || before[$0.key] == $0.value }
  }

  // MARK: Servers

  mutating func compare(_ section: Section, name: String, _ facts: BackendFacts) {
    guard let backend = running.backends[name] else {
      if loaded?.sections[section.header.text] != nil { reasons.append(.sectionAdded(section.header.text)) }
      return
    }
    let planner = BackendPlanner(
      name: name, running: backend, version: running.version, facts: facts,
      loaded: loaded?.sections[section.header.text]?.servers,
      wanted: section.prints.first { $0.header == section.header.text }?.servers ?? [:],
      isOutdated: loaded == nil || outdated.contains(section.header.text))
    let names = Set(section.servers.map(\.name))
    for server in section.servers {
      if let present = backend.servers[server.name] {
        add(planner.change(server, present), of: server, in: name)
      } else if server.isEnabled {
        add(planner.arrival(server, wanted: names), of: server, in: name)
      }
    }
    for (server, present) in backend.servers.sorted(by: { $0.key < $1.key })
    where !names.contains(server) && !facts.isForeign(server) {
      departures += planner.departure(server, present)
    }
  }

  private mutating func add(_ steps: BackendPlanner.Steps, of server: WantedServer, in backend: String) {
    arrivals += steps.arrivals
    changes += steps.changes
    departures += steps.departures
    if let reason = steps.reason { reasons.append(.server(backend: backend, server: server.name, reason)) }
  }
}
