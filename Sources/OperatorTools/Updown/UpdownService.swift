internal import Glibc
internal import HAProxyRuntime
internal import Reactor
internal import SmartStack

/// What `updown_service` needs of the world.
@LoopActor struct UpdownSurroundings {
  /// This machine's addresses, as servers' names in HAProxy have them.
  var addresses: Set<String>
  /// Runs one of hacheck's commands: exit status, and what it complained of.
  var hacheck: @LoopActor (_ name: String, _ arguments: [String]) async -> (status: Int32, complaint: String)
  /// Whether the service's instance on a port is marked down by itself, not with its service or with everything.
  var isMarked: @LoopActor (_ port: Int) async -> Bool
  /// What the host's HAProxy says.
  var page: @LoopActor () async throws -> StatsPage
  /// Asks the service itself for its health; what is wrong with the answer, nil: nothing.
  var askService: @LoopActor (UpdownFacts.HealthCheck) async -> String?
  var clock: LoopClock
  var sleep: @LoopActor (Duration) async -> Void
  var output: ToolOutput
}

/// Brings this host's tasks of a service up or down, and waits until the host's HAProxy has noticed.
@LoopActor struct UpdownService {
  let arguments: UpdownArguments
  let facts: UpdownFacts
  let surroundings: UpdownSurroundings

  private static let pollInterval = Duration.seconds(1)

  /// What one look at HAProxy says.
  enum Sight: Equatable {
    case reached
    /// With what HAProxy says instead.
    case notYet(String)
    /// HAProxy does not know the service: waiting would be in vain.
    case noSuchBackend
  }

  /// - Returns: the exit status: 0 when the state is reached or there is nothing to do, else 1.
  func run() async -> Int32 {
    guard facts.isManaged else {
      say("\(arguments.name) is not available in synapse, doing nothing\n")
      return 0
    }
    if !arguments.isWaitOnly { await mark() }
    return await wait(seconds: arguments.timeout ?? facts.timeout)
  }

  private func mark() async {
    let command = arguments.state == .down ? "hadown" : "haup"
    var words = [arguments.name]
    if let port = arguments.port { words += ["-P", String(port)] }
    let (status, complaint) = await surroundings.hacheck(command, words)
    // The state may come about all the same; whether it does is looked at now.
    if status != 0 { complain("Error running \(command): \(complaint.isEmpty ? "status \(status)" : complaint)") }
  }

  private func wait(seconds: Int) async -> Int32 {
    let start = surroundings.clock.now
    var dots = 0
    var last = ""
    for turn in 0..<max(1, seconds) where turn == 0 || surroundings.clock.now - start < .seconds(seconds) {
      if arguments.state == .up, await isHealthyOnDownedHost() { return 0 }
      switch await look() {
      case .reached: return await reached(after: dots)
      case .noSuchBackend:
        endDots(dots)
        complain("HAProxy has no backend \(arguments.name); is it in this host's synapse.conf.json?")
        return 1
      case .notYet(let reason): last = reason
      }
      if seconds == 0 { break }
      say(".")
      dots += 1
      await surroundings.sleep(UpdownService.pollInterval)
    }
    endDots(dots)
    say("Service failed to enter state '\(arguments.state.rawValue)'\n")
    complain("\(last); see `hastatus \(arguments.name)`, `nerve status` and `synapse status`")
    return 1
  }

  private func endDots(_ dots: Int) { if dots > 0 { say("\n") } }

  private func reached(after dots: Int) async -> Int32 {
    endDots(dots)
    say("Service entered state '\(arguments.state.rawValue)'\nSleeping for an additional \(arguments.waitTime)s\n")
    await surroundings.sleep(.seconds(arguments.waitTime))
    return 0
  }

  /// While everything on this host is marked down no server comes up in HAProxy: there the service's own word counts.
  private func isHealthyOnDownedHost() async -> Bool {
    guard await surroundings.hacheck("hastatus", ["all"]).status != 0, let check = facts.healthCheck else {
      return false
    }
    guard let reason = await surroundings.askService(check) else { return true }
    complain("Calling http://127.0.0.1:\(check.port)\(check.target), got - \(reason)")
    return false
  }

  private func look() async -> Sight {
    do {
      let page = try await surroundings.page()
      var drained: Set<Int> = []
      for port in UpdownService.ports(of: arguments, on: page, addresses: surroundings.addresses)
      where await surroundings.isMarked(port) { drained.insert(port) }
      return UpdownService.sight(of: arguments, on: page, addresses: surroundings.addresses, drained: drained)
    } catch {
      return .notYet("\(error)")
    }
  }

  /// Ports of servers that `up` without a port would wait for: those drained one by one are not meant.
  private nonisolated static func ports(
    of arguments: UpdownArguments, on page: StatsPage, addresses: Set<String>
  ) -> [Int] {
    guard arguments.state == .up, arguments.port == nil else { return [] }
    return own(arguments, page, addresses).filter { !$0.takesRequests }.compactMap { $0.place?.port }
  }

  private nonisolated static func own(
    _ arguments: UpdownArguments, _ page: StatsPage, _ addresses: Set<String>
  ) -> [StatsPage.Server] {
    page.servers(of: arguments.name).filter { server in
      guard let place = server.place, addresses.contains(place.host) else { return false }
      return arguments.port.map { $0 == place.port } ?? true
    }
  }

  /// Looks for this host's servers on the page: down means that none of them is up, up that there are some and all are.
  /// - Parameter drained: ports whose servers do not count.
  nonisolated static func sight(
    of arguments: UpdownArguments, on page: StatsPage, addresses: Set<String>, drained: Set<Int> = []
  ) -> Sight {
    guard page.proxies.contains(arguments.name) else { return .noSuchBackend }
    let own = own(arguments, page, addresses).filter { !drained.contains($0.place?.port ?? 0) }
    let inTheWay = own.filter { $0.takesRequests != (arguments.state == .up) }
    if inTheWay.isEmpty, arguments.state == .down || !own.isEmpty { return .reached }
    if !own.isEmpty {
      let servers = inTheWay.map { "\($0.name) \($0.status) \($0.lastCheck)".trimmedBlanks }
      return .notYet("HAProxy has \(servers.joined(separator: ", "))")
    }
    if !drained.isEmpty {
      let ports = drained.sorted().map(String.init).joined(separator: ", ")
      return .notYet("this host's instances are marked down one by one (port \(ports))")
    }
    return .notYet("HAProxy has no server of this host\(arguments.port.map { " on port \($0)" } ?? "")")
  }

  private func say(_ text: String) { surroundings.output(text, STDOUT_FILENO) }

  private func complain(_ sentence: String) { surroundings.output(sentence + "\n", STDERR_FILENO) }
}

extension StatsPage.Server {
  /// A server without a health check is never `UP`, and gets requests all the same.
  fileprivate var takesRequests: Bool { isUp || status == "no check" }
}
