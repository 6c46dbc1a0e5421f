internal import HAProxyRuntime
internal import SmartStack

/// Findings about one service, and the judgement of them.
struct ReplicationFindings: Sendable {
  /// The name, as `service.namespace`, which is that of HAProxy's backend for the clients at one location of the level.
  var name: String
  /// The type of location.
  var level: String
  /// All types, for the backends of wider levels.
  var types: [String] = []
  /// Everything registered, wherever; nil: the registry was not asked.
  var registered: [Backend]?
  /// This host's location; nil: not known, and not needed.
  var own: String?
  /// Place and page of this host's HAProxy; nil: not asked.
  var local: (place: String, page: StatsPage)?
  /// Places and pages of HAProxys at other locations, by location.
  var remote: [String: (place: String, page: StatsPage)] = [:]
  /// Locations whose HAProxy did not answer: nothing is said of them.
  var silent: Set<String> = []
  /// This host's did not: then nothing is said of what it might have told.
  var isLocalSilent = false
  /// Locations that must have it.
  var wanted: [String] = []
  /// Instances everywhere together; nil: what is registered.
  var expected: Int?
  /// Percent; 50 without warnings, as PaaSTA has it.
  var thresholds: (critical: Int, warning: Int?) = (50, nil)

  func report() -> NamespaceReport {
    let groups = byLocation
    var names = Set(groups.keys).union(wanted).union(remote.keys)
    if let own, let local, expected != nil || !local.page.servers(of: name).isEmpty { names.insert(own) }
    // PaaSTA's division: what does not divide is not expected anywhere.
    let share = names.isEmpty ? nil : expected.map { $0 / names.union(silent).count }
    names.subtract(silent)
    if isLocalSilent { names.formIntersection(remote.keys) }
    let locations = names.sorted().map { report(of: $0, registered: groups[$0] ?? [], share: share) }
    return NamespaceReport(name: name, level: level, locations: locations, notes: notes)
  }

  private func report(of location: String, registered: [Backend], share: Int?) -> LocationReport {
    let known = self.registered == nil ? nil : registered.count
    let seen = seen(at: location, registered: registered)
    let available = seen.map { $0.servers.count(where: \.isUp) } ?? registered.count
    // A backend without servers answers its clients with 503, whatever the registry says.
    let least = wanted.contains(location) || seen?.servers.isEmpty == true ? 1 : 0
    let replication = Replication(
      available: available, expected: share ?? max(known ?? seen?.servers.count ?? 0, least))
    var report = LocationReport(
      location: location, haproxy: seen?.place, replication: replication,
      verdict: replication.verdict(critical: thresholds.critical, warning: thresholds.warning), registered: known)
    if let seen {
      let names = Set(seen.servers.map(\.name))
      report.servers = seen.servers
      let known = Set(registered.map(\.serverName))
      if self.registered != nil { report.preserved = seen.servers.count { $0.isUp && !known.contains($0.name) } }
      report.missing = registered.map(\.serverName).filter { !names.contains($0) }.sorted()
    }
    return report
  }

  /// The servers that a HAProxy lists for a location; nil: none was asked that would.
  private func seen(at location: String, registered: [Backend]) -> (place: String, servers: [StatsPage.Server])? {
    if let remote = remote[location] { return (remote.place, remote.page.servers(of: name)) }
    guard let local else { return nil }
    if location == own { return (local.place, local.page.servers(of: name)) }
    // Backends of wider levels list other locations' servers, too: `web.main.region` those of all its habitats.
    let names = Set(registered.map(\.serverName))
    let wide = Set(types.map { "\(name).\($0)" })
    var found: Set<String> = []
    let servers = local.page.servers.filter { server in
      wide.contains(server.proxy) && names.contains(server.name) && found.insert(server.name).inserted
    }
    return servers.isEmpty ? nil : (local.place, servers)
  }

  /// Registrations by the locations of the level that they advertise in.
  private var byLocation: [String: [Backend]] {
    var groups: [String: [Backend]] = [:]
    for backend in registered ?? [] {
      for location in places(backend) { groups[location, default: []].append(backend) }
    }
    return groups
  }

  private func places(_ backend: Backend) -> [String] {
    let prefix = level + ":"
    return (backend.labels?.entries ?? []).compactMap { label in
      guard label.name.hasPrefix(prefix), label.value == "" else { return nil }
      return String(label.name.dropFirst(prefix.count))
    }
  }

  private var notes: [String] {
    let lost = (registered ?? []).filter { places($0).isEmpty }
    if lost.isEmpty { return [] }
    let names = lost.map(\.serverName).sorted().prefix(5).joined(separator: ", ")
    return ["\(lost.count) registered without a \(level), so that no client discovers them: \(names)"]
  }
}
