internal import Reactor
internal import SmartStack
internal import ZooKeeper

/// A record that is a znode, kept by one ``WantedNode`` at a time.
@LoopActor final class ZooKeeperRecord: RegistryRecord {
  private let registration: Registration
  private let client: ZooKeeperClient
  private let discard: @LoopActor () -> Void
  private var claims: [RecordClaim] = []
  /// The claim that was given up last: it is told why the node stays.
  private var leaver: RecordClaim?
  private var node: WantedNode?
  /// Happens when the last claim's node is gone. Until then nothing is created: the deletion could hit the new node.
  private var withdrawal: OneShotEvent<Void>?

  /// - Parameters:
  ///   - registration: its data is each claim's own.
  ///   - discard: deletes a node of the fixed name, left by an earlier run, unless it is claimed by then.
  init(_ registration: Registration, client: ZooKeeperClient, discard: @escaping @LoopActor () -> Void) {
    self.registration = registration
    self.client = client
    self.discard = discard
  }

  var place: String { registration.path }
  var isReachable: Bool { client.isConnected }
  /// Whether a claim keeps the node.
  var isClaimed: Bool { !claims.isEmpty }

  func add(_ claim: RecordClaim) {
    claims.append(claim)
    reconcile()
    if let state = node.flatMap({ ZooKeeperRecord.state(of: $0.state) }) { claim.onChange(state) }
  }

  func remove(_ claim: RecordClaim) async -> Bool {
    claims.removeAll { $0 === claim }
    leaver = claim
    reconcile()
    guard claims.isEmpty else { return false }
    await settle()
    return client.state != .closed
  }

  func settle() async { await withdrawal?.outcome() }

  func discardUnclaimed() { if registration.mode == .persistent, !isClaimed { discard() } }

  func touch() { node?.touch() }

  private func reconcile() {
    guard withdrawal == nil else { return }
    guard let data = claims.last?.data else { return withdraw() }
    if let node { return node.update(data: data) }
    var wanted = registration
    wanted.data = data
    let isSequential = registration.mode.isSequential
    node = client.want(
      wanted, adopting: { !isSequential || ZooKeeperRecord.isSameInstance(data, as: $0) },
      onChange: { [weak self] in self?.nodeChanged($0) })
  }

  private func withdraw() {
    guard let leaving = node else { return }
    node = nil
    let withdrawal = OneShotEvent<Void>()
    self.withdrawal = withdrawal
    Task.immediate { @LoopActor in
      await leaving.withdraw()
      self.withdrawal = nil
      withdrawal.happen()
      reconcile()
    }
  }

  private func nodeChanged(_ state: NodeState) {
    guard let state = ZooKeeperRecord.state(of: state) else { return }
    if claims.isEmpty, case .failed = state { leaver?.onChange(state) }
    for claim in claims { claim.onChange(state) }
  }

  /// Nil for a node that was withdrawn: its claims were removed before.
  private static func state(of state: NodeState) -> RecordState? {
    switch state {
    case .pending: .pending
    case .registered(let path): .present(place: path)
    case .failed(let error): .failed(reason: error.description)
    case .withdrawn: nil
    }
  }

  /// Whether two payloads register the same instance: a weight or a label may have changed between two runs, and
  /// then the node that is there is written over.
  private static func isSameInstance(_ data: [UInt8], as other: [UInt8]) -> Bool {
    guard let one = try? RegistrationCodec.decode(payload: data, name: "").backend,
      let other = try? RegistrationCodec.decode(payload: other, name: "").backend
    else { return false }
    return one.host == other.host && one.port == other.port && one.name == other.name
  }
}
