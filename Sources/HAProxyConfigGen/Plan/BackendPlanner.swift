internal import SmartStack

/// Plans for the servers of one backend.
struct BackendPlanner {
  var name: String
  var service: String?
  var running: [String: RunningServer]
  var version: HAProxyVersion
  var traits: BackendTraits
  /// Options of the servers in HAProxy's memory; nil when nothing is known.
  var loaded: [String: SectionPrint.Server]?
  var wanted: [String: SectionPrint.Server]
  /// Whether the section's lines differ from what HAProxy has: servers added now might behave otherwise.
  var isOutdated: Bool
  /// The running servers by id.
  lazy var holders: [Int: String] = Dictionary(running.map { ($1.id, $0) }) { $1 }

  /// HAProxy's own limit on the words of a command is 64.
  private static let maximumWords = 60

  // MARK: A server that is there

  mutating func change(of server: WantedServer, from present: RunningServer) -> Plan {
    var steps = Plan()
    guard server.isEnabled else {
      if !present.adminState.contains(.forcedMaintenance) {
        steps.departures.append(.setMaintenance(path(server.name)))
      }
      return steps
    }
    var problem: ServerProblem?
    if let id = server.id, id != present.id {
      problem = ServerProblem(subject: "its id", reason: "has changed")
    } else if let loaded, loaded[server.name]?.options != server.print {
      problem = ServerProblem(subject: "its options", reason: "have changed")
    }
    if problem != nil, let replacement = replacement(of: server) {
      steps.changes = replacement
      return steps
    }
    steps.changes += address(of: server, from: present)
    if let weight = server.weight, weight != present.weight, (0...256).contains(weight) {
      if traits.isDynamic {
        steps.changes.append(.setWeight(path(server.name), weight))
      } else {
        problem = problem ?? staticBalance
      }
    }
    if let problem { steps.reloadReasons.append(reason(problem, for: server)) }
    if present.isResting, !present.restsByAgent {
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

  private func reason(_ problem: ServerProblem, for server: WantedServer) -> ReloadReason {
    ReloadReason("server \(path(server.name)): \(problem)", service: service)
  }

  /// The commands that give a server that is there other options, or another id: it is deleted and added again. HAProxy
  /// refuses to delete a server that has connections; it goes on as it was then.
  private mutating func replacement(of server: WantedServer) -> [RuntimeCommand]? {
    guard version.deletesServers, !isOutdated else { return nil }
    if let id = server.id, holders[id, default: server.name] != server.name { return nil }
    guard let options = try? runtimeOptions(server) else { return nil }
    let words = options.flatMap(\.words)
    guard (try? check(words)) != nil else { return nil }
    let path = path(server.name)
    return [.setMaintenance(path), .deleteServer(path, isOptional: false)]
      + addition(of: server, words: words, options: options)
  }

  private var staticBalance: ServerProblem {
    ServerProblem(subject: "balance \(traits.balance.joined(separator: " "))", reason: "takes no changes at run time")
  }

  private func address(of server: WantedServer, from present: RunningServer) -> [RuntimeCommand] {
    guard let address = present.address, address != server.host || present.port != server.port,
      let wanted = IPAddress(server.host)
    else { return [] }
    if IPAddress(address) == wanted, present.port == server.port { return [] }
    return [.setAddress(path(server.name), host: server.host, port: server.port)]
  }

  // MARK: A server that comes

  mutating func arrival(of server: WantedServer) -> Plan {
    var steps = Plan()
    do throws(ServerProblem) {
      let options = try runtimeOptions(server)
      let words = options.flatMap(\.words)
      try check(words)
      if isOutdated { return Plan() }
      if let id = server.id, let other = holders[id] {
        guard version.deletesServers, wanted[other] == nil else {
          throw ServerProblem(subject: "its id", reason: "still belongs to \(other)")
        }
        steps.arrivals.append(.deleteServer(path(other), isOptional: false))
      }
      steps.arrivals += addition(of: server, words: words, options: options)
    } catch {
      steps.reloadReasons = [reason(error, for: server)]
    }
    return steps
  }

  /// The options a server in the file would have: `add server` inherits nothing from `default-server`.
  private func runtimeOptions(_ server: WantedServer) throws(ServerProblem) -> [ServerOption] {
    guard version.addsServers else {
      throw ServerProblem(subject: "HAProxy \(version)", reason: "cannot add servers at run time")
    }
    guard traits.isDynamic else { throw staticBalance }
    var written = server.options.words
    if let cookie = server.cookie { written = ["cookie", cookie] + written }
    var options: [ServerOption]
    do throws(ServerProblem) {
      options = try ServerOption.read(traits.defaultServer)
      options += try ServerOption.read(written)
    } catch {
      throw refusal(of: error.subject)
    }
    var accepted: [ServerOption] = []
    for option in ServerOption.merge(options) where try isGiven(option) { accepted.append(option) }
    return accepted
  }

  private func refusal(of keyword: String) -> ServerProblem {
    ServerProblem(subject: "`\(keyword)`", reason: "cannot be given to a server at run time")
  }

  /// Whether `add server` is to be given the option; it starts from nothing, so taking back is superfluous.
  private func isGiven(_ option: ServerOption) throws(ServerProblem) -> Bool {
    guard option.keyword != "id", let keyword = ServerKeyword.named(option.keyword) else { return false }
    if case .superfluous = keyword.atRunTime { return false }
    guard keyword.isAccepted(by: version) else { throw refusal(of: option.keyword) }
    return true
  }

  /// The socket's commands know no quotes, end at `;` and have a limit of words.
  private func check(_ words: [String]) throws(ServerProblem) {
    guard words.count + 6 <= BackendPlanner.maximumWords,
      words.allSatisfy({ word in
        !word.utf8.contains { byte in "\"'\\;#<$".utf8.contains(byte) || !(0x21...0x7E).contains(byte) }
      })
    else { throw ServerProblem(subject: "its line", reason: "cannot be given as a command") }
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
