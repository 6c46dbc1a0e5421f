internal import Reactor

/// One record of a registry: a znode, a key of an etcd, a file.
///
/// Claims on one record share it: the latest claim's data is written, and the record is removed with the last claim. So
/// a service that takes over from another one leaves no gap.
@LoopActor protocol RegistryRecord: AnyObject {
  /// The path or key of the record; that of a sequential znode lacks its digits.
  var place: String { get }
  /// Whether the registry answers at this moment.
  var isReachable: Bool { get }

  /// Keeps the record in the registry, with this claim's data, until the claim is removed.
  func add(_ claim: RecordClaim)
  /// Gives a claim up.
  /// - Returns: true when the record was removed; false, at once, when another claim keeps it, or when the registry was
  ///   let go of before. Meanwhile the claim is told of refusals.
  func remove(_ claim: RecordClaim) async -> Bool
  /// Returns when no removal is under way.
  func settle() async
  /// Removes what an earlier run left, unless the record is claimed.
  func discardUnclaimed()
  /// Writes the record again, so that its time shows that the agent lives.
  func touch()
}

/// State of a claimed record, as its claims are notified of it.
enum RecordState: Equatable, Sendable {
  /// Not in the registry, or lost by it; being written.
  case pending
  /// In the registry, at this place.
  case present(place: String)
  /// Refused by the registry; tried again with growing delays.
  case failed(reason: String)
}

/// Request of one registrar that a record exist.
@LoopActor final class RecordClaim {
  let data: [UInt8]
  let onChange: @LoopActor (RecordState) -> Void

  init(data: [UInt8], onChange: @escaping @LoopActor (RecordState) -> Void) {
    self.data = data
    self.onChange = onChange
  }
}
