internal import Reactor

/// Paths of one client's own nodes, and the registrations without one: no two registrations take one node.
@LoopActor final class NodeClaims {
  private var claimed: Set<String> = []
  private var seeking: [ObjectIdentifier: (registration: Registration, isSettled: Bool)] = [:]

  /// Whether a registration holds the node.
  func contains(_ path: String) -> Bool { claimed.contains(path) }

  /// Notes what the registration's owner is known to hold now.
  func update(_ owner: ObjectIdentifier, of registration: Registration, from old: ObservedNode, to new: ObservedNode) {
    if let path = old.path { claimed.remove(path) }
    if let path = new.path {
      claimed.insert(path)
      seeking[owner] = nil
    } else {
      seeking[owner] = (registration, new != .unknown)
    }
  }

  /// Forgets a registration that is not wanted any more.
  func remove(_ owner: ObjectIdentifier) { seeking[owner] = nil }

  /// Whether another registration of the same directory and name does not know yet what it holds.
  func hasUnsettled(_ registration: Registration, besides owner: ObjectIdentifier) -> Bool {
    seeking.contains {
      $0.key != owner && !$0.value.isSettled && $0.value.registration.directory == registration.directory
        && $0.value.registration.name == registration.name
    }
  }

  /// Whether a registration of this path has no node, or does not know of it.
  func isSeeking(_ path: String) -> Bool { seeking.values.contains { $0.registration.path == path } }

  /// Whether a registration that is still looking for its node may find this one.
  func mayTake(_ path: String) -> Bool {
    seeking.values.contains { entry in
      let wanted = entry.registration
      guard path.hasPrefix(wanted.path) else { return false }
      return wanted.mode.isSequential ? Registration.isSequel(path, of: wanted.path) : path == wanted.path
    }
  }
}
