internal import Logging
internal import Reactor
internal import SmartStack

/// Several watchers under one service's name.
///
/// The first delivery waits for all of them, but not for ever: a registry that is down must not keep the others'
/// changes from being followed.
@LoopActor final class MultiWatcher: RegistryWatcher {
  private let parts: [(name: String, watcher: any RegistryWatcher)]
  private let resolver: MultiResolver
  private let patience: Duration
  private let environment: WatchEnvironment
  /// Whose servers a `sequential` has delivered last.
  private var preferred: String?
  private var readings: [String: RegistryReading] = [:]
  private var hasWaited = false
  private var toggle: WatcherToggle?
  private var deliver: (@LoopActor (RegistryReading) -> Void)?

  /// - Parameter patience: how long the parts that have spoken wait for the others.
  init(
    parts: [(name: String, watcher: any RegistryWatcher)], resolver: MultiResolver, patience: Duration,
    environment: WatchEnvironment
  ) {
    self.parts = parts
    self.resolver = resolver
    self.patience = patience
    self.environment = environment
    if case .toggle(let configuration) = resolver {
      toggle = WatcherToggle(configuration, watchers: parts.map(\.name), environment: environment)
    }
  }

  func run(_ deliver: @escaping @LoopActor (RegistryReading) -> Void) async throws {
    self.deliver = deliver
    environment.count("synapse.watcher.multi.start")
    let tasks = parts.map { part in
      Task { @LoopActor in
        try await part.watcher.run { [weak self] reading in self?.record(reading, of: part.name) }
      }
    }
    let timer = environment.clock.schedule(after: patience) { [weak self] in self?.patienceEnded() }
    toggle?.start { [weak self] in self?.deliverIfReady() }
    await untilCancelled()
    self.deliver = nil
    environment.count("synapse.watcher.multi.stop")
    timer.cancel()
    toggle?.stop()
    for task in tasks {
      task.cancel()
      _ = await task.result
    }
  }

  private func record(_ reading: RegistryReading, of part: String) {
    readings[part] = reading
    deliverIfReady()
  }

  private func patienceEnded() {
    hasWaited = true
    let silent = parts.map(\.name).filter { readings[$0] == nil }
    if silent.isEmpty { return }
    environment.logger.warning(
      "watchers without data, service built from the others",
      with: [.service: environment.service, .count: silent.count, .reason: silent.joined(separator: ", ")])
    deliverIfReady()
  }

  private func deliverIfReady() {
    guard readings.count == parts.count || hasWaited, !readings.isEmpty else { return }
    let order = parts.map(\.name)
    guard let reading = MultiWatcher.merge(readings, order: order, by: resolver, chosen: toggle?.chosen) else { return }
    countSwitch()
    deliver?(reading)
  }

  private func countSwitch() {
    guard case .sequential(let preference) = resolver else { return }
    let now = preference.first { readings[$0]?.backends.isEmpty == false }
    defer { preferred = now }
    guard let now, now != preferred else { return }
    environment.count(
      "synapse.watcher.multi.resolver.sequential.switch", tags: ["result:success", "watcher:\(now)"])
  }

  /// One reading out of the parts' readings: pure.
  /// - Parameter chosen: the part that the toggle points at.
  /// - Returns: nil when the part that decides has not been heard of.
  static nonisolated func merge(
    _ readings: [String: RegistryReading], order: [String], by resolver: MultiResolver, chosen: String? = nil
  ) -> RegistryReading? {
    switch resolver {
    case .union:
      let ordered = order.compactMap { readings[$0] }
      var seen: Set<String> = []
      let backends = ordered.flatMap(\.backends).filter { seen.insert($0.serverName).inserted }
      var reading = RegistryReading(
        backends: backends, generatorConfig: ordered.compactMap(\.generatorConfig).first,
        conflicts: ordered.flatMap(\.conflicts))
      reading.isPartial = ordered.count < order.count || ordered.contains(where: \.isPartial)
      return reading
    case .sequential(let preference):
      let wanted = preference.compactMap { readings[$0] }
      let first = wanted.first { !$0.backends.isEmpty }
      var reading = RegistryReading(
        backends: first?.backends ?? [], generatorConfig: wanted.compactMap(\.generatorConfig).first,
        conflicts: first?.conflicts ?? [])
      // One that goes before might have servers.
      let before = preference.prefix { readings[$0]?.backends.isEmpty != false }
      reading.isPartial = before.contains { readings[$0] == nil } || first?.isPartial == true
      return reading
    case .toggle:
      return chosen.flatMap { readings[$0] }
    }
  }
}
