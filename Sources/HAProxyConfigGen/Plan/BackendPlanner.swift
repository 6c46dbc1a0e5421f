/// What to do for servers: added ones first, so that capacity is there before it is taken away.
struct PlannedSteps {
  var arrivals: [RuntimeCommand] = []
  var changes: [RuntimeCommand] = []
  var departures: [RuntimeCommand] = []
  var reason: ServerReloadReason?
}

/// Plans for the servers of one backend.
struct BackendPlanner {
  var name: String
  var running: RunningBackend
  var version: HAProxyVersion
  var traits: BackendTraits
  /// Options of the servers in HAProxy's memory; nil when nothing is known.
  var loaded: [String: SectionPrint.Server]?
  /// The servers in the file.
  var wanted: [String: SectionPrint.Server]
  /// Whether the section's lines differ from what HAProxy has: servers added now might behave otherwise.
  var isOutdated: Bool

  /// HAProxy's own limit on the words of a command is 64.
  private static let maximumWords = 60

  // MARK: A server that is there

  func change(of server: WantedServer, from present: RunningServer) -> PlannedSteps {
    var steps = PlannedSteps()
    guard server.isEnabled else {
      if !present.adminState.contains(.forcedMaintenance) {
        steps.departures.append(.setMaintenance(path(server.name)))
      }
      return steps
    }
    if let id = server.id, id != present.id {
      steps.reason = .idChanged
    } else if let loaded, loaded[server.name]?.options != server.print {
      steps.reason = .optionsChanged
    }
    steps.changes += address(of: server, from: present)
    weigh(server, from: present, into: &steps)
    let resting: AdminState = [.forcedMaintenance, .forcedDrain]
    if !present.adminState.isDisjoint(with: resting) {
      // Checks first: a server is not to take traffic unwatched. Those of the file have theirs switched on.
      if present.checkState.contains(.configured), !present.checkState.contains(.enabled) {
        steps.arrivals.append(.enableHealth(path(server.name)))
      }
      if present.agentState.contains(.configured), !present.agentState.contains(.enabled) {
        steps.arrivals.append(.enableAgent(path(server.name)))
      }
      steps.arrivals.append(.setReady(path(server.name)))
    }
    return steps
  }

  private func address(of server: WantedServer, from present: RunningServer) -> [RuntimeCommand] {
    guard let address = present.address, address != server.host || present.port != server.port,
      let wanted = HostAddress(server.host), !wanted.isName
    else { return [] }
    if HostAddress(address) == wanted, present.port == server.port { return [] }
    return [.setAddress(path(server.name), host: server.host, port: server.port)]
  }

  private func weigh(_ server: WantedServer, from present: RunningServer, into steps: inout PlannedSteps) {
    guard let weight = server.weight, weight != present.weight, (0...256).contains(weight) else { return }
    if traits.isDynamic {
      steps.changes.append(.setWeight(path(server.name), weight))
    } else {
      steps.reason = steps.reason ?? .staticBalance(traits.balance.joined(separator: " "))
    }
  }

  // MARK: A server that comes

  func arrival(of server: WantedServer) -> PlannedSteps {
    var steps = PlannedSteps()
    do throws(ServerReloadReason) {
      let options = try runtimeOptions(server)
      let words = options.flatMap(\.words)
      try check(words)
      if isOutdated { return PlannedSteps() }
      if let id = server.id, let other = running.servers.first(where: { $0.value.id == id })?.key {
        guard version.deletesServers, wanted[other] == nil else { throw ServerReloadReason.idTaken(by: other) }
        steps.arrivals.append(.deleteServer(path(other), isOptional: false))
      }
      steps.arrivals += addition(of: server, words: words, options: options)
    } catch {
      steps.reason = error
    }
    return steps
  }

  /// The options a server in the file would have: `add server` inherits nothing from `default-server`.
  private func runtimeOptions(_ server: WantedServer) throws(ServerReloadReason) -> [ServerOption] {
    guard version.addsServers else { throw ServerReloadReason.version(version) }
    guard traits.isDynamic else { throw ServerReloadReason.staticBalance(traits.balance.joined(separator: " ")) }
    guard let address = HostAddress(server.host), !address.isName else {
      throw ServerReloadReason.hostName(server.host)
    }
    var written = server.options.words
    if let cookie = server.cookie { written = ["cookie", cookie] + written }
    var options: [ServerOption]
    do throws(UnknownServerOption) {
      options = try ServerOption.read(traits.defaultServer)
      options += try ServerOption.read(written)
    } catch {
      throw ServerReloadReason.keyword(error.word)
    }
    var accepted: [ServerOption] = []
    for option in ServerOption.merge(options) where try isGiven(option) { accepted.append(option) }
    return accepted
  }

  /// Whether `add server` is to be given the option; it starts from nothing, so taking back is superfluous.
  private func isGiven(_ option: ServerOption) throws(ServerReloadReason) -> Bool {
    if option.keyword == "cookie", version.addsCookies { return true }
    if option.keyword == "enabled" || option.keyword == "id" { return false }
    return switch ServerKeyword.named(option.keyword)?.atRunTime {
    case .accepted: true
    case .superfluous: false
    case .refused, nil: throw ServerReloadReason.keyword(option.keyword)
    }
  }

  /// The socket's commands know no quotes, end at `;` and have a limit of words.
  private func check(_ words: [String]) throws(ServerReloadReason) {
    guard words.count + 6 <= BackendPlanner.maximumWords,
      words.allSatisfy({ word in
        !word.utf8.contains { byte in "\"'\\;#<$".utf8.contains(byte) || !(0x21...0x7E).contains(byte) }
      })
    else { throw ServerReloadReason.unquotable }
  }

  private func addition(of server: WantedServer, words: [String], options: [ServerOption]) -> [RuntimeCommand] {
    let path = path(server.name)
    let id = server.id.map { ["id", String($0)] } ?? []
    var commands: [RuntimeCommand] = [.addServer(path, address: "\(server.host):\(server.port)", options: id + words)]
    let keywords = Set(options.map(\.keyword))
    if keywords.contains("check") { commands.append(.enableHealth(path)) }
    if keywords.contains("agent-check") { commands.append(.enableAgent(path)) }
    if !keywords.contains("disabled") { commands.append(.setReady(path)) }
    return commands
  }

  // MARK: A server that goes

  /// Maintenance first; deleted by a later plan, when its connections have ended and HAProxy can do it.
  func departure(of server: String, from present: RunningServer) -> [RuntimeCommand] {
    guard present.adminState.contains(.forcedMaintenance) else { return [.setMaintenance(path(server))] }
    return version.deletesServers ? [.deleteServer(path(server), isOptional: true)] : []
  }

  private func path(_ server: String) -> ServerPath { ServerPath(backend: name, server: server) }
}
