internal import Logging
internal import Reactor
internal import SmartStack
internal import ZooKeeper

/// One ZooKeeper ensemble as nerve uses it: one session, and one owner for every node of a fixed name.
@LoopActor final class Ensemble {
  /// `host:port,host:port[/chroot]`.
  let connection: String
  let client: ZooKeeperClient
  private var shared: [String: SharedNode] = [:]
  /// Paths that earlier runs may have left and nobody claims.
  private var stale: Set<String> = []
  /// Directories that an earlier run's session may have nodes in, still to be looked through.
  private var unsearched: Set<String>?

  private let clock: LoopClock

  init(connection: String, client: ZooKeeperClient, clock: LoopClock) {
    self.connection = connection
    self.clock = clock
    self.client = client
  }

  func start() {
    client.onState { [weak self] _ in
      self?.dropStale()
      self?.searchLeftovers()
    }
  }

  /// Wants `registration` until the claim is released.
  ///
  /// Claims on one fixed name share one node: the latest claim's data is written, and the node goes with
  /// the last claim. So a service that takes over from another one never leaves a gap between them.
  func claim(_ registration: Registration, onChange: @escaping @LoopActor (WantedNode.State) -> Void) -> NodeClaim {
    guard !registration.mode.isSequential else {
      let node = client.want(
        registration, adopting: { Ensemble.isSameInstance(registration.data, $0) }, onChange: onChange)
      let claim = NodeClaim(registration, onChange: onChange) { _ in
        await node.withdraw()
        return true
      }
      claim.onTouch = { node.touch() }
      return claim
    }
    let path = registration.path
    let node = shared[path] ?? SharedNode(client: client)
    shared[path] = node
    let claim = NodeClaim(registration, onChange: onChange) { [weak self] claim in
      let isGone = await node.remove(claim)
      if node.isUnused, self?.shared[path] === node { self?.shared[path] = nil }
      return isGone
    }
    claim.onTouch = { node.touch() }
    node.add(claim)
    return claim
  }

  /// Whether two payloads register the same instance: a weight or a label may have changed between two runs, and
  /// then the node that is there is written over.
  private static func isSameInstance(_ one: [UInt8], _ other: [UInt8]) -> Bool {
    guard let one = try? RegistrationCodec.decode(payload: one, name: "").backend,
      let other = try? RegistrationCodec.decode(payload: other, name: "").backend
    else { return false }
    return one.host == other.host && one.port == other.port && one.name == other.name
  }

  /// Deletes the nodes in `directories` that this session, if it is an earlier run's, brought along and
  /// that nobody claims: as soon as there is a connection, and twice more, because a node that a claim
  /// may yet take over is left alone.
  func dropLeftovers(in directories: Set<String>) {
    unsearched = directories
    searchLeftovers()
  }

  private func searchLeftovers() {
    guard let directories = unsearched, case .connected = client.state else { return }
    unsearched = nil
    for delay in [Duration.zero, .seconds(2), .seconds(10)] {
      clock.schedule(after: delay) { [client] in
        Task.immediate { @LoopActor in await client.dropLeftovers(in: directories.sorted()) }
      }
    }
  }

  /// Deletes a node that an earlier run may have left, as soon as there is a connection, unless somebody
  /// wants it by then.
  func drop(_ path: String) {
    stale.insert(path)
    dropStale()
  }

  private func dropStale() {
    guard !stale.isEmpty, case .connected = client.state else { return }
    let paths = stale.filter { shared[$0]?.isClaimed != true }
    stale = []
    Task.immediate { @LoopActor in
      for path in paths {
        do {
          try await client.delete(path)
        } catch {
          // Asked for once more with the next connection; what the server refuses stays.
          if (error as? ZooKeeperError)?.code == .connectionLoss { stale.insert(path) }
        }
      }
    }
  }
}

/// Somebody's wish that a node exist.
@LoopActor final class NodeClaim {
  let registration: Registration
  fileprivate let onChange: @LoopActor (WantedNode.State) -> Void
  fileprivate var onTouch: @LoopActor () -> Void = {}
  private var onRelease: (@LoopActor (NodeClaim) async -> Bool)?

  fileprivate init(
    _ registration: Registration, onChange: @escaping @LoopActor (WantedNode.State) -> Void,
    onRelease: @escaping @LoopActor (NodeClaim) async -> Bool
  ) {
    self.registration = registration
    self.onChange = onChange
    self.onRelease = onRelease
  }

  /// Writes the node's data once more, so that its time of modification says that somebody is alive.
  func touch() { onTouch() }

  /// Gives the wish up.
  /// - Returns: true when the node is gone; false, at once, when somebody else still wants it.
  func release() async -> Bool {
    let body = onRelease
    onRelease = nil
    return await body?(self) ?? false
  }
}

/// A node of a fixed name and those who want it.
@LoopActor private final class SharedNode {
  private let client: ZooKeeperClient
  private var claims: [NodeClaim] = []
  private var node: WantedNode?
  private var withdrawals = 0

  init(client: ZooKeeperClient) { self.client = client }

  var isClaimed: Bool { !claims.isEmpty }
  var isUnused: Bool { claims.isEmpty && node == nil && withdrawals == 0 }

  func touch() { node?.touch() }

  func add(_ claim: NodeClaim) {
    claims.append(claim)
    enforce()
    if let state = node?.state { claim.onChange(state) }
  }

  func remove(_ claim: NodeClaim) async -> Bool {
    claims.removeAll { $0 === claim }
    guard claims.isEmpty, let leaving = node else {
      enforce()
      return false
    }
    node = nil
    withdrawals += 1
    await leaving.withdraw()
    withdrawals -= 1
    enforce()
    return true
  }

  /// Makes the latest claim's data the node's. While an earlier node of the name is being deleted nothing
  /// is created: the delete could otherwise hit the new one.
  private func enforce() {
    guard let wanted = claims.last?.registration, withdrawals == 0 else { return }
    if let node {
      if node.registration.data != wanted.data { node.update(data: wanted.data) }
      return
    }
    let tell: @LoopActor (WantedNode.State) -> Void = { [weak self] state in
      for claim in self?.claims ?? [] { claim.onChange(state) }
    }
    node = client.want(wanted, adopting: { _ in true }, onChange: tell)
  }
}
