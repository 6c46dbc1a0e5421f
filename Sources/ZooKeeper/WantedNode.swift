public import Reactor

/// One registration that the client keeps true until it is withdrawn.
@LoopActor public final class WantedNode {
  /// How far the registration is.
  public enum State: Hashable, Sendable {
    /// Not there, or not known to be there; being worked on.
    case pending
    /// There, at this path (with its digits, for the sequential modes).
    case registered(path: String)
    /// Refused; tried again at growing intervals.
    case failed(ZooKeeperError)
    /// Withdrawn, and gone; final.
    case withdrawn
  }

  /// How far the registration is.
  public private(set) var state: State = .pending
  /// What is wanted.
  public private(set) var registration: Registration

  init(_ registration: Registration) { self.registration = registration }

  /// Wants other data at the same node: written over it when it exists already.
  public func update(data: [UInt8]) { registration.data = data }

  /// Wants the node gone. Takes effect at once, also when a create is under way; returns when the node
  /// is gone, or the session that held it, or the client is closed. Without a connection that can take
  /// as long as the connection takes to come back.
  public func withdraw() async {}
}
