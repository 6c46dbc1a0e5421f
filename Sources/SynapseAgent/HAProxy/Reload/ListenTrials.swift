internal import HAProxyConfigGen
internal import HAProxyRuntime
internal import Reactor
internal import SmartStack

/// Finds addresses that HAProxy could not listen on, before a reload would fail for all services because of them.
@LoopActor final class ListenTrials {
  /// Between two trials of an address; the longest leaves time for the reload within 10 s of its release.
  private static let retry = RetryPolicy(base: .seconds(1), limit: .seconds(5))
  private static let pause: Duration = .milliseconds(200)

  /// What is wrong with an address; not known: what was found before stands.
  private typealias Outcome = (isKnown: Bool, problem: String?)

  private let file: String
  private let master: String?
  private let sockets: SocketSync
  private let wanted: WantedModel
  private let clock: LoopClock
  /// What is wrong with an address, how often that was found, and when it is tried again.
  private var failures: [ListenAddress: (problem: String, attempt: Int, retryAt: LoopClock.Instant)] = [:]

  init(_ configuration: HAProxyConfiguration, sockets: SocketSync, wanted: WantedModel, clock: LoopClock) {
    file = configuration.filePath
    var master: String?
    if case .masterSocket(let path)? = configuration.reload { master = path }
    self.master = master
    self.sockets = sockets
    self.wanted = wanted
    self.clock = clock
  }

  /// Tries the addresses that HAProxy is to listen on and does not yet; services and sections whose address fails are
  /// skipped.
  /// - Returns: how long to wait before the next trial; nil: none is to be repeated.
  func run() async -> Duration? {
    let (model, now) = (wanted.model, clock.now)
    let resting = Set(failures.lazy.filter { $0.value.retryAt > now }.map(\.key))
    let isDown = await isDown()
    let held = isDown ? [] : sockets.heldAddresses
    if isDown || sockets.areInThisNetwork,
      let trials = try? await BlockingWork.run({ ListenTrials.outcomes(of: model.claims, held: held, resting: resting) }
      )
    {
      // One that has started meanwhile may have them itself.
      if isDown ? await !self.isDown() : sockets.heldAddresses != held { return ListenTrials.pause }
      await record(trials, resting: resting)
    }
    // While HAProxy is down, anybody may take a port.
    let retry = failures.values.map(\.retryAt).min() ?? now + .seconds(2)
    return failures.isEmpty && !isDown ? nil : max(ListenTrials.pause, retry - clock.now)
  }

  /// Whether no HAProxy runs: one that cannot start because of one address leaves all services without a listener.
  private func isDown() async -> Bool {
    if sockets.isReachable || sockets.sockets.isEmpty || file.isEmpty { return false }
    for path in sockets.sockets.map(\.path) + [master].compactMap({ $0 }) {
      do {
        try await ByteStream.connect(to: .unix(path: path), deadline: .seconds(2)).close()
        return false
      } catch StreamError.refused {
      } catch {
        return false
      }
    }
    let file = file
    let isFound = try? await BlockingWork.run {
      ProcessRecord.all().contains { process in
        guard process.name.hasPrefix("haproxy") else { return false }
        let arguments = process.arguments
        return arguments.isEmpty
          || arguments.contains {
            $0 == file || file.hasPrefix($0 + "/") || !$0.hasPrefix("/") && Files.name(of: $0) == Files.name(of: file)
          }
      }
    }
    return isFound == false
  }

  private func record(
    _ trials: [(unit: LineOrigin, address: ListenAddress, outcome: Outcome)], resting: Set<ListenAddress>
  ) async {
    var standing: [ListenAddress: (problem: String, attempt: Int, retryAt: LoopClock.Instant)] = [:]
    var reasons: [LineOrigin: String] = [:]
    for (unit, address, outcome) in trials {
      if !outcome.isKnown {
        standing[address] = failures[address]
      } else if let problem = outcome.problem, standing[address] == nil {
        let attempt = (failures[address]?.attempt ?? -1) + 1
        standing[address] = (problem, attempt, clock.now + ListenTrials.retry.delay(attempt: attempt))
      }
      if let problem = standing[address]?.problem, reasons[unit] == nil { reasons[unit] = problem }
    }
    failures = standing
    await wanted.setUnbindable(reasons)
  }

  /// Tries every address that HAProxy does not hold, and is not resting.
  /// - Parameter held: nil: unknown, so that one which is taken may be HAProxy's own.
  private nonisolated static func outcomes(
    of claims: [AddressClaim], held: Set<ListenAddress>?, resting: Set<ListenAddress>
  ) -> [(unit: LineOrigin, address: ListenAddress, outcome: Outcome)] {
    claims.compactMap { claim in
      let address = claim.address
      switch claim.unit {
      case .service, .extra: break
      case .fixed, .agent, .global, .defaults, .sharedFrontend, .server: return nil
      }
      if let held, held.contains(address) || held.contains(where: address.overlaps) { return nil }
      if resting.contains(address) { return (claim.unit, address, (isKnown: false, nil)) }
      guard let (problem, isInUse) = problem(of: address) else { return (claim.unit, address, (isKnown: true, nil)) }
      return (claim.unit, address, (isKnown: held != nil || !isInUse, problem))
    }
  }

  /// HAProxy's sentence about an address that this host cannot listen on.
  private nonisolated static func problem(of address: ListenAddress) -> (text: String, isInUse: Bool)? {
    guard !address.isDatagram, address.interface == nil, address.namespace == nil, !address.isTransparent else {
      return nil
    }
    let host: String
    var isIPv6Only = false
    switch address.host {
    case .anyIPv4: host = "0.0.0.0"
    case .anyIPv6(let isOnly): (host, isIPv6Only) = ("::", isOnly)
    case .address(let plain): host = plain.description
    case .name("localhost"): host = "127.0.0.1"
    case .path(let path):
      // HAProxy puts its socket in the place of any other: only the folder can be wrong.
      guard path.hasPrefix("/"), !Files.isDirectory(Files.parent(of: path)) else { return nil }
      return ("cannot bind UNIX socket (No such file or directory) [\(path)]", false)
    case .name, .other: return nil
    }
    for port in address.ports.prefix(1000) {
      if let (reason, isInUse) = Endpoint.tcp(host: host, port: port).bindProblem(isIPv6Only: isIPv6Only) {
        return ("cannot bind socket (\(reason)) for [\(host):\(port)]", isInUse)
      }
    }
    return nil
  }
}
