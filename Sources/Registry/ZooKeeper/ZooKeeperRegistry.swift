internal import Logging
internal import Reactor
internal import SmartStack
internal import ZooKeeper

/// One ZooKeeper ensemble as a place of registrations: one session, and one record per node of a fixed name.
@LoopActor final class ZooKeeperRegistry {
  let client: ZooKeeperClient
  private let clock: LoopClock
  private var records = UseCount<String, ZooKeeperRecord>()
  /// Paths that earlier runs may have left, deleted with the next connection unless they are claimed.
  private var stale: Set<String> = []
  /// Whether what earlier runs left is to be deleted with the next connection.
  private var hasLeftovers = false

  init(client: ZooKeeperClient, clock: LoopClock) {
    self.client = client
    self.clock = clock
    client.onState { [weak self] _ in
      self?.deleteStale()
      self?.deleteLeftovers()
    }
  }

  /// The record of `registration`, shared by all users of a fixed name, until ``leave(_:)``.
  func join(_ registration: Registration) -> ZooKeeperRecord {
    let path = registration.path
    let make = { [client] in
      ZooKeeperRecord(registration, client: client, discard: { [weak self] in self?.discard(path) })
    }
    return registration.mode.isSequential ? make() : records.join(path, make: make)
  }

  /// One user of a record less.
  func leave(_ registration: Registration) {
    if !registration.mode.isSequential { _ = records.leave(registration.path) }
  }

  // MARK: What earlier runs left

  /// Deletes the nodes that earlier runs left and that no record claims: as soon as there is a connection, and twice more,
  /// because a node that a claim may yet take over is skipped.
  func dropLeftovers() {
    hasLeftovers = true
    deleteLeftovers()
  }

  private func deleteLeftovers() {
    guard hasLeftovers, client.isConnected else { return }
    hasLeftovers = false
    for delay in [Duration.zero, .seconds(2), .seconds(10)] {
      clock.schedule(after: delay) { [client] in
        Task.immediate { @LoopActor in await client.dropLeftovers() }
      }
    }
  }

  private func discard(_ path: String) {
    stale.insert(path)
    deleteStale()
  }

  private func deleteStale() {
    guard !stale.isEmpty, client.isConnected else { return }
    let paths = stale.filter { records[$0]?.isClaimed != true }
    stale = []
    Task.immediate { @LoopActor in
      for path in paths {
        do {
          try await client.delete(path)
        } catch {
          // Repeated with the next connection; what the server refuses stays.
          if (error as? ZooKeeperError)?.code == .connectionLoss { stale.insert(path) }
        }
      }
    }
  }
}
