internal import Hacheck
internal import Reactor

/// Tracks which services a downtime covers, and notifies them when that changes.
///
/// A service is covered through its checks: one that asks this host's hacheck about `web.main` on port 31000 is
/// down during a downtime of `all`, `web.main` or `web.main:31000`.
@LoopActor final class DrainTracker {
  /// A runner, and its checks that ask hacheck, with their places in the configuration.
  private typealias Entry = (runner: ServiceRunner, checks: [(index: Int, probe: EmbeddedHacheckProbe)])

  private var entries: [ObjectIdentifier: Entry] = [:]
  private var byService: [String: Set<ObjectIdentifier>] = [:]

  /// Follows the downtimes that cover `probes` until ``forget(_:)``, starting with the current ones.
  func follow(_ runner: ServiceRunner, probes: [any Probe]) {
    let own = probes.enumerated().compactMap { index, probe in (probe as? EmbeddedHacheckProbe).map { (index, $0) } }
    guard !own.isEmpty else { return }
    let entry = Entry(runner, own)
    let id = ObjectIdentifier(runner)
    entries[id] = entry
    for (_, probe) in own { byService[probe.service, default: []].insert(id) }
    update(entry)
  }

  func forget(_ runner: ServiceRunner) {
    let id = ObjectIdentifier(runner)
    guard let entry = entries.removeValue(forKey: id) else { return }
    for (_, probe) in entry.checks {
      byService[probe.service]?.remove(id)
      if byService[probe.service]?.isEmpty == true { byService[probe.service] = nil }
    }
  }

  /// Applies a change of downtimes.
  func spoolChanged(_ scopes: Set<SpoolScope>) {
    if scopes.contains(.everything) { return updateAll() }
    var touched: Set<ObjectIdentifier> = []
    for scope in scopes {
      switch scope {
      case .everything: break
      case .service(let name), .instance(let name, _, _): touched.formUnion(byService[name] ?? [])
      }
    }
    for id in touched { if let entry = entries[id] { update(entry) } }
  }

  /// Compares every service with the downtimes again.
  func updateAll() { for entry in entries.values { update(entry) } }

  private func update(_ entry: Entry) {
    let downtime = entry.checks.lazy.compactMap(\.probe.downtime).first
    entry.runner.setDowntime(downtime, deciding: entry.checks.map(\.index))
  }
}
