internal import Logging
internal import Reactor
internal import SmartStack
internal import YAMLConfig

/// Which of a service's watchers counts, as a file of weights has it: `primary: 90` and `canary: 10` make nine hosts
/// of ten follow `primary`.
///
/// Where this host falls depends on its name and the place of the file alone: all services with the same file fall
/// alike, and a restart changes nothing. Until the file could be read once, and whenever it cannot, things stay as they
/// are.
@LoopActor final class WatcherToggle {
  private let configuration: ToggleConfiguration
  private let watchers: [String]
  private let environment: WatchEnvironment
  private let client: AWSClient?
  private var onChange: (@LoopActor () -> Void)?
  private var task: Task<Void, Never>?
  private var trouble: String?

  /// The watcher that counts.
  private(set) var chosen: String?

  init(_ configuration: ToggleConfiguration, watchers: [String], environment: WatchEnvironment) {
    self.configuration = configuration
    self.watchers = watchers
    self.environment = environment
    if case .object(let service, _) = configuration.source {
      client = AWSClient(service, clock: environment.clock)
    } else {
      client = nil
    }
    chosen = watchers.contains("primary") ? "primary" : watchers.first
  }

  /// Begins to read; `onChange` is called when active watcher changed.
  func start(_ onChange: @escaping @LoopActor () -> Void) {
    self.onChange = onChange
    task = Task { @LoopActor [weak self, clock = environment.clock, configuration] in
      while !Task.isCancelled {
        await self?.read()
        guard (try? await clock.sleep(for: configuration.interval * Double.random(in: 0.9...1.1))) != nil else {
          return
        }
      }
    }
  }

  func stop() {
    onChange = nil
    task?.cancel()
  }

  private func read() async {
    do {
      let weights = try WatcherWeights(try await bytes(), file: place)
      let point = StableHash("\(HostInfo.name ?? "") \(place)").share
      let pick = try weights.pick(at: point, of: watchers)
      guard !Task.isCancelled else { return }
      if trouble != nil {
        environment.logger.notice("watcher weights read again", with: [.service: environment.service, .path: place])
      }
      trouble = nil
      count("switch", tags: pick == chosen ? ["result:skip"] : ["result:success", "watcher:\(pick)"])
      if pick == chosen { return }
      chosen = pick
      environment.logger.notice(
        "active watcher changed", with: [.service: environment.service, .path: place, .state: pick])
      onChange?()
    } catch {
      if Task.isCancelled { return }
      count(error)
      if trouble == "\(error)" { return }
      trouble = "\(error)"
      environment.logger.warning(
        "watcher weights rejected, active watcher kept",
        with: [.service: environment.service, .path: place, .state: chosen ?? "none", .reason: "\(error)"])
    }
  }

  private func count(_ error: any Error) {
    switch error {
    case WatcherWeights.Problem.noWeight: count("switch", tags: ["result:fail", "reason:zero_sum"])
    case WatcherWeights.Problem.unknownWatcher: count("switch", tags: ["result:fail", "reason:unknown_watcher"])
    case is ConfigError: count("fetch_failure", tags: ["reason:parse_error"])
    default: count("fetch_failure", tags: ["reason:s3_error"])
    }
  }

  private func count(_ event: String, tags: [String]) {
    environment.count("synapse.watcher.multi.resolver.s3_toggle.\(event)", tags: tags)
  }

  private func bytes() async throws -> [UInt8] {
    switch configuration.source {
    case .file(let path): return try await BlockingWork.run { try Files.read(path, limit: 1 << 20) }
    case .web(let address):
      return try await RegistryAnswer.bytes(
        HTTPRequest(endpoint: address.endpoint, tls: address.tls, target: address.target))
    case .object(_, let path): return try await client?.bytes(path: path) ?? []
    }
  }

  private var place: String { configuration.place }
}
