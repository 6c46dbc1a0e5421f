public import Reactor
public import SmartStack

/// Follows one service in one registry.
@LoopActor public protocol ServiceWatcher: AnyObject {
  /// The service's key in the configuration, for the log.
  var name: String { get }

  /// Publishes the service as a whole, first when everything about it is known and then after each change.
  /// Trouble with the registry is no change: what was published stands.
  ///
  /// Returns when its task is cancelled, and then publishes nothing more. It throws nothing else.
  func run(_ publish: @escaping @LoopActor (ServiceSnapshot) -> Void) async throws
}

/// Waits for the task's cancellation.
@LoopActor func untilCancelled() async { try? await OneShotEvent<Void>().wait() }
