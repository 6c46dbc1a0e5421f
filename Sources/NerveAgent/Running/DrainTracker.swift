internal import Hacheck
internal import Reactor

/// Tracks which services a downtime covers, and notifies them when that changes.
///
/// A service is covered through its checks: one that asks this host's hacheck about `web.main` on port 31000 is
/// down during a downtime of `all`, `web.main` or `web.main:31000`.
@LoopActor final class DrainTracker {
  private struct Entry {
    let runner: ServiceRunner
    /// The checks that ask hacheck, with their places in the configuration.
    let checks: [(index: Int, check: HacheckCheck)]
  }

  private var entries: [ObjectIdentifier: Entry] = [:]
  private var byService: [String: Set<ObjectIdentifier>] = [:]

  /// Follows the downtimes that cover `checks` until ``forget(_:)``, starting with the current ones.
  func follow(_ runner: ServiceRunner, checks: [any HealthCheck]) {
    let own = checks.enumerated().compactMap { index, check in (check as? HacheckCheck).map { (index, $0) } }
    guard !own.isEmpty else { return }
    let entry = Entry(runner: runner, checks: own)
    let id = ObjectIdentifier(runner)
    entries[id] = entry
    for (_, check) in own { byService[check.request.service, default: []].insert(id) }
    update(entry)
  }

  func forget(_ runner: ServiceRunner) {
    let id = ObjectIdentifier(runner)
    guard let entry = entries.removeValue(forKey: id) else { return }
    for (_, check) in entry.checks {
      byService[check.request.service]?.remove(id)
      if byService[check.request.service]?.isEmpty == true { byService[check.request.service] = nil }
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
    let mark = entry.checks.lazy.compactMap(\.check.mark).first
    entry.runner.setDrained(
      mark != nil, reason: mark.map(\.downText) ?? "", deciding: entry.checks.map(\.index))
  }
}
