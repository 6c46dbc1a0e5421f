internal import AgentKit
internal import Glibc
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
  private let service: String
  private let watchers: [String]
  private let clock: LoopClock
  private let logger: Logger
  private let statsd: StatsD?
  private var onChange: (@LoopActor () -> Void)?
  private var task: Task<Void, Never>?
  private var trouble: String?

  /// The watcher that counts.
  private(set) var chosen: String?

  init(_ configuration: ToggleConfiguration, service: String, watchers: [String], context: AgentContext) {
    self.configuration = configuration
    self.service = service
    self.watchers = watchers
    clock = context.clock
    logger = context.logger
    statsd = context.statsd
    chosen = watchers.contains("primary") ? "primary" : watchers.first
  }

  /// Begins to read; `onChange` is called when another watcher counts.
  func start(_ onChange: @escaping @LoopActor () -> Void) {
    self.onChange = onChange
    task = Task { @LoopActor [weak self, clock, configuration] in
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
      let point = StableHash("\(WatcherToggle.hostName) \(place)").share
      let pick = try weights.pick(at: point, of: watchers)
      guard !Task.isCancelled else { return }
      if trouble != nil { logger.notice("watcher weights can be read again", with: [.service: service, .path: place]) }
      trouble = nil
      count("switch", pick == chosen ? ["result:skip"] : ["result:success", "watcher:\(pick)"])
      if pick == chosen { return }
      chosen = pick
      logger.notice("another watcher counts", with: [.service: service, .path: place, .state: pick])
      onChange?()
    } catch {
      if Task.isCancelled { return }
      count(error)
      if trouble == "\(error)" { return }
      trouble = "\(error)"
      logger.warning(
        "watcher weights cannot be used, the same watcher counts on",
        with: [.service: service, .path: place, .state: chosen ?? "none", .reason: "\(error)"])
    }
  }

  private func count(_ error: any Error) {
    switch error {
    case WatcherWeights.Problem.noWeight: count("switch", ["result:fail", "reason:zero_sum"])
    case WatcherWeights.Problem.unknownWatcher: count("switch", ["result:fail", "reason:unknown_watcher"])
    case is ConfigError: count("fetch_failure", ["reason:parse_error"])
    default: count("fetch_failure", ["reason:s3_error"])
    }
  }

  private func count(_ what: String, _ tags: [String]) {
    statsd?.increment("synapse.watcher.multi.resolver.s3_toggle.\(what)", tags: tags)
  }

  private func bytes() async throws -> [UInt8] {
    switch configuration.source {
    case .file(let path): return try await BlockingWork.run { try Files.read(path, limit: 1 << 20) }
    case .web(let address):
      return try await RegistryAnswer.bytes(
        HTTPRequest(endpoint: address.endpoint, tls: address.tls, target: address.target))
    }
  }

  private var place: String {
    switch configuration.source {
    case .file(let path): path
    case .web(let address): address.description
    }
  }

  private static let hostName = HostInfo.name ?? ""
}

/// A file of weights: a mapping of watchers' names to whole numbers that are not negative.
struct WatcherWeights: Equatable, Sendable {
  /// In the file's order.
  let weights: [Weight]

  struct Weight: Equatable, Sendable {
    let watcher: String
    let value: Int
  }

  /// Why nothing can be picked.
  enum Problem: Error, Equatable, CustomStringConvertible {
    case noWeight
    case unknownWatcher(String)

    var description: String {
      switch self {
      case .noWeight: "all weights are 0"
      case .unknownWatcher(let name): "there is no watcher '\(name)'"
      }
    }
  }

  /// - Throws: `ConfigError` at the place that is wrong.
  init(_ bytes: [UInt8], file: String) throws(ConfigError) {
    let root = try YAMLDocument(bytes, file: file).root
    var weights: [Weight] = []
    for entry in try root.entries() {
      weights.append(Weight(watcher: entry.name, value: try entry.value.int(in: 0...1_000_000_000)))
    }
    self.weights = weights
  }

  /// The watcher at a point between 0 and 1 (exclusive) of all weights laid end to end.
  func pick(at point: Double, of watchers: [String]) throws(Problem) -> String {
    let total = weights.reduce(0) { $0 + $1.value }
    var rest = point * Double(total)
    guard total > 0, let last = weights.last(where: { $0.value > 0 }) else { throw .noWeight }
    var picked = last.watcher
    for weight in weights {
      if rest < Double(weight.value) {
        picked = weight.watcher
        break
      }
      rest -= Double(weight.value)
    }
    guard watchers.contains(picked) else { throw .unknownWatcher(picked) }
    return picked
  }
}
