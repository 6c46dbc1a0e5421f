internal import Reactor
internal import SmartStack

/// An output that is kept in sync with the registry.
@LoopActor protocol ConfigGenerator: AnyObject {
  /// Applies services as they are now; unnamed ones stay as they are. Returns at once: what takes time is done by a
  /// task, and what comes meanwhile is part of its next round.
  func apply(_ snapshots: [ServiceSnapshot])

  /// Ends the task after what it is at; what was made stays.
  func stop() async
}
