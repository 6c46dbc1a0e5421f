internal import Reactor
internal import SmartStack

/// Several watchers under one service's name.
@LoopActor final class MultiWatcher: ServiceWatcher {
  let name: String
  private let parts: [(name: String, watcher: any ServiceWatcher)]
  private let resolver: MultiResolver
  private var readings: [String: ServiceSnapshot] = [:]

  init(name: String, parts: [(name: String, watcher: any ServiceWatcher)], resolver: MultiResolver) {
    self.name = name
    self.parts = parts
    self.resolver = resolver
  }

  func run(_ publish: @escaping @LoopActor (ServiceSnapshot) -> Void) async throws {
    let tasks = parts.map { part in
      Task { @LoopActor in
        try await part.watcher.run { [weak self] snapshot in self?.take(snapshot, of: part.name, publish) }
      }
    }
    await untilCancelled()
    for task in tasks {
      task.cancel()
      _ = await task.result
    }
  }

  private func take(_ snapshot: ServiceSnapshot, of part: String, _ publish: @LoopActor (ServiceSnapshot) -> Void) {
    readings[part] = snapshot
    guard readings.count == parts.count else { return }
    publish(MultiWatcher.resolve(readings, order: parts.map(\.name), resolver, service: name))
  }

  /// One service out of the parts' readings: pure.
  static nonisolated func resolve(
    _ readings: [String: ServiceSnapshot], order: [String], _ resolver: MultiResolver, service: String
  ) -> ServiceSnapshot {
    let ordered = order.compactMap { readings[$0] }
    switch resolver {
    case .union:
      var seen: Set<String> = []
      let backends = ordered.flatMap(\.backends).filter { seen.insert($0.serverName).inserted }
      return ServiceSnapshot(
        service: service, backends: backends, generatorConfig: ordered.compactMap(\.generatorConfig).first)
    case .sequential(let preference):
      let wanted = preference.compactMap { readings[$0] }
      let chosen = wanted.first { !$0.backends.isEmpty } ?? wanted.first
      return ServiceSnapshot(
        service: service, backends: chosen?.backends ?? [], generatorConfig: chosen?.generatorConfig)
    }
  }
}
