internal import AgentKit
internal import Logging
internal import Reactor
internal import SmartStack

/// Several watchers under one service's name.
///
/// The first publication waits for all of them, but not for ever: a registry that is down must not keep the others'
/// changes from being followed.
@LoopActor final class MultiWatcher: ServiceWatcher {
  let name: String
  private let parts: [(name: String, watcher: any ServiceWatcher)]
  private let resolver: MultiResolver
  private let patience: Duration
  private let clock: LoopClock
  private let logger: Logger
  private let statsd: StatsD?
  /// Whose servers a `sequential` has published last.
  private var preferred: String?
  private var readings: [String: ServiceSnapshot] = [:]
  private var hasWaited = false
  private var toggle: WatcherToggle?
  private var publish: (@LoopActor (ServiceSnapshot) -> Void)?

  /// - Parameter patience: how long the parts that have spoken wait for the others.
  init(
    name: String, parts: [(name: String, watcher: any ServiceWatcher)], resolver: MultiResolver, patience: Duration,
    context: AgentContext
  ) {
    self.name = name
    self.parts = parts
    self.resolver = resolver
    self.patience = patience
    clock = context.clock
    logger = context.logger
    statsd = context.statsd
    if case .toggle(let configuration) = resolver {
      toggle = WatcherToggle(configuration, service: name, watchers: parts.map(\.name), context: context)
    }
  }

  func run(_ publish: @escaping @LoopActor (ServiceSnapshot) -> Void) async throws {
    self.publish = publish
    statsd?.increment("synapse.watcher.multi.start")
    let tasks = parts.map { part in
      Task { @LoopActor in
        try await part.watcher.run { [weak self] snapshot in self?.take(snapshot, of: part.name) }
      }
    }
    let timer = clock.schedule(after: patience) { [weak self] in self?.patienceEnded() }
    toggle?.start { [weak self] in self?.publishIfReady() }
    await untilCancelled()
    self.publish = nil
    statsd?.increment("synapse.watcher.multi.stop")
    timer.cancel()
    toggle?.stop()
    for task in tasks {
      task.cancel()
      _ = await task.result
    }
  }

  private func take(_ snapshot: ServiceSnapshot, of part: String) {
    readings[part] = snapshot
    publishIfReady()
  }

  private func patienceEnded() {
    hasWaited = true
    let silent = parts.map(\.name).filter { readings[$0] == nil }
    if silent.isEmpty { return }
    logger.warning(
      "some watchers of the service have not been heard of, the others are followed",
      with: [.service: name, .count: silent.count, .reason: silent.joined(separator: ", ")])
    publishIfReady()
  }

  private func publishIfReady() {
    guard readings.count == parts.count || hasWaited, !readings.isEmpty else { return }
    let order = parts.map(\.name)
    guard
      let snapshot = MultiWatcher.resolve(readings, order: order, resolver, chosen: toggle?.chosen, service: name)
    else { return }
    countSwitch()
    publish?(snapshot)
  }

  private func countSwitch() {
    guard case .sequential(let preference) = resolver else { return }
    let now = preference.first { readings[$0]?.backends.isEmpty == false }
    defer { preferred = now }
    guard let now, now != preferred else { return }
    statsd?.increment(
      "synapse.watcher.multi.resolver.sequential.switch", tags: ["result:success", "watcher:\(now)"])
  }

  /// One service out of the parts' readings: pure.
  /// - Parameter chosen: the part that the toggle points at.
  /// - Returns: nil when the part that decides has not been heard of.
  static nonisolated func resolve(
    _ readings: [String: ServiceSnapshot], order: [String], _ resolver: MultiResolver, chosen: String? = nil,
    service: String
  ) -> ServiceSnapshot? {
    switch resolver {
    case .union:
      let ordered = order.compactMap { readings[$0] }
      var seen: Set<String> = []
      let backends = ordered.flatMap(\.backends).filter { seen.insert($0.serverName).inserted }
      return ServiceSnapshot(
        service: service, backends: backends, generatorConfig: ordered.compactMap(\.generatorConfig).first)
    case .sequential(let preference):
      let wanted = preference.compactMap { readings[$0] }
      return ServiceSnapshot(
        service: service, backends: wanted.map(\.backends).first { !$0.isEmpty } ?? [],
        generatorConfig: wanted.compactMap(\.generatorConfig).first)
    case .toggle:
      return chosen.flatMap { readings[$0] }.map {
        ServiceSnapshot(service: service, backends: $0.backends, generatorConfig: $0.generatorConfig)
      }
    }
  }
}
