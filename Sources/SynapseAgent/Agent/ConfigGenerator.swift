public import Reactor
public import SmartStack

/// Something outside that is made to agree with the registry.
@LoopActor public protocol ConfigGenerator: AnyObject {
  /// Takes services as they are now; those that are not named are as before. Returns soon: what takes time
  /// goes on behind, and what comes meanwhile is part of its next round.
  /// - Throws: when nothing could be taken; it is told again with the next change.
  func reconcile(_ snapshots: [ServiceSnapshot]) async throws

  /// Begins the work behind.
  func start()

  /// Ends it, after what is under way; what was made stays.
  func stop() async
}
