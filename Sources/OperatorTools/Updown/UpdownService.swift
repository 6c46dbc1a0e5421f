internal import Glibc
internal import HAProxyRuntime
internal import Reactor
internal import SmartStack

/// Brings this host's tasks of a service up or down, and waits until the host's HAProxy has noticed.
@LoopActor struct UpdownService {
  let arguments: UpdownArguments
  let facts: UpdownFacts
  /// This machine's addresses, as servers' names in HAProxy have them.
  var addresses: Set<String>
  /// Runs one of hacheck's commands: exit status and complaint.
  var hacheck: @LoopActor (_ name: String, _ arguments: [String]) async -> (status: Int32, complaint: String)
  /// Whether the instance on a port has a downtime of its own, not its service's or everything's.
  var isDrained: @LoopActor (_ port: Int) async -> Bool
  /// Reads the statistics page of the host's HAProxy.
  var page: @LoopActor () async throws -> StatsPage
  /// Queries the service itself for its health: the problem; nil when there is none.
  var askService: @LoopActor (_ port: Int, _ target: String) async -> String?
  var clock: LoopClock
  var pause: @LoopActor (Duration) async -> Void
  var output: CommandOutput

  private static let pollInterval = Duration.seconds(1)

  /// State of this host's servers in HAProxy.
  enum HAProxyState: Equatable {
    /// The state that was requested.
    case reached
    /// Another state, in words.
    case notYet(String)
    /// None: HAProxy does not have the service, so waiting is pointless.
    case noSuchBackend
  }

  /// - Returns: the exit status: 0 when the state is reached or there is nothing to do, else 1.
  func run() async -> Int32 {
    guard facts.isManaged else {
      say("\(arguments.name) is not available in synapse, doing nothing\n")
      return 0
    }
    if !arguments.isWaitOnly { await changeDowntime() }
    return await wait(seconds: arguments.timeout ?? facts.timeout)
  }

  private func changeDowntime() async {
    let command = arguments.isUp ? "haup" : "hadown"
    var words = [arguments.name]
    if let port = arguments.port { words += ["-P", String(port)] }
    let (status, complaint) = await hacheck(command, words)
    // The state may be reached all the same.
    if status != 0 { complain("Error running \(command): \(complaint.isEmpty ? "status \(status)" : complaint)") }
  }

  private func wait(seconds: Int) async -> Int32 {
    let start = clock.now
    var dots = 0
    var last = ""
    for turn in 0..<max(1, seconds) where turn == 0 || clock.now - start < .seconds(seconds) {
      if arguments.isUp, await isHealthyOnDownedHost() { return 0 }
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
      await pause(UpdownService.pollInterval)
    }
    endDots(dots)
    say("Service failed to enter state '\(arguments.state)'\n")
    complain("\(last); see `hastatus \(arguments.name)`, `nerve status` and `synapse status`")
    return 1
  }

  private func endDots(_ dots: Int) { if dots > 0 { say("\n") } }

  private func reached(after dots: Int) async -> Int32 {
    endDots(dots)
    say("Service entered state '\(arguments.state)'\nSleeping for an additional \(arguments.waitTime)s\n")
    await pause(.seconds(arguments.waitTime))
    return 0
  }

  /// While everything on this host is drained no server is up in HAProxy: there the service's own answer counts.
  private func isHealthyOnDownedHost() async -> Bool {
    guard await hacheck("hastatus", ["all"]).status != 0, let check = facts.healthCheck else {
      return false
    }
    guard let reason = await askService(check.port, check.target) else { return true }
    complain("Calling http://127.0.0.1:\(check.port)\(check.target), got - \(reason)")
    return false
  }

  private func look() async -> HAProxyState {
    do {
      let page = try await self.page()
      var drained: Set<Int> = []
      for port in UpdownService.ports(of: arguments, on: page, addresses: addresses)
      where await isDrained(port) { drained.insert(port) }
      return UpdownService.state(of: arguments, on: page, addresses: addresses, drained: drained)
    } catch {
      return .notYet("\(error)")
    }
  }

  /// Ports of servers that `up` without a port would wait for: those drained one by one are not meant.
  private nonisolated static func ports(
    of arguments: UpdownArguments, on page: StatsPage, addresses: Set<String>
  ) -> [Int] {
    guard arguments.isUp, arguments.port == nil else { return [] }
    return own(arguments, on: page, addresses: addresses).filter { !$0.takesRequests }.compactMap { $0.place?.port }
  }

  private nonisolated static func own(
    _ arguments: UpdownArguments, on page: StatsPage, addresses: Set<String>
  ) -> [StatsPage.Server] {
    page.servers(of: arguments.name).filter { server in
      guard let place = server.place, addresses.contains(place.host) else { return false }
      return arguments.port.map { $0 == place.port } ?? true
    }
  }

  /// Looks for this host's servers on the page: down means that none of them is up, up that there are some and all are.
  /// - Parameter drained: ports whose servers do not count.
  nonisolated static func state(
    of arguments: UpdownArguments, on page: StatsPage, addresses: Set<String>, drained: Set<Int> = []
  ) -> HAProxyState {
    guard page.proxies.contains(arguments.name) else { return .noSuchBackend }
    let own = own(arguments, on: page, addresses: addresses).filter { !drained.contains($0.place?.port ?? 0) }
    let inTheWay = own.filter { $0.takesRequests != arguments.isUp }
    if inTheWay.isEmpty, !arguments.isUp || !own.isEmpty { return .reached }
    if !own.isEmpty {
      let servers = inTheWay.map { "\($0.name) \($0.status) \($0.lastCheck)".trimmedBlanks }
      return .notYet("HAProxy has \(servers.joined(separator: ", "))")
    }
    if !drained.isEmpty {
      let ports = drained.sorted().map(String.init).joined(separator: ", ")
      return .notYet("this host's instances are drained one by one (port \(ports))")
    }
    return .notYet("HAProxy has no server of this host\(arguments.port.map { " on port \($0)" } ?? "")")
  }

  private func say(_ text: String) { output(text, STDOUT_FILENO) }

  private func complain(_ sentence: String) { output(sentence + "\n", STDERR_FILENO) }
}

extension StatsPage.Server {
  /// A server without a health check is never `UP`, and gets requests all the same.
  fileprivate var takesRequests: Bool { isUp || status == "no check" }
}
