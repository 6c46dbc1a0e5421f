public import Reactor

/// How the client stands with the ensemble.
public enum ConnectionState: Hashable, Sendable {
  /// No session yet, or the last one has expired: nothing of ours is registered.
  case connecting
  /// The session is connected and answers requests.
  case connected(sessionID: Int64)
  /// The connection is lost, the session (and every ephemeral node) may still live.
  case suspended
  /// Closed or abandoned by us; final.
  case closed
}

/// Ends a watch or an observation. Letting go of the token does not.
@LoopActor public final class WatchToken {
  private var onCancel: (@LoopActor () -> Void)?

  init(onCancel: @escaping @LoopActor () -> Void) { self.onCancel = onCancel }

  /// After this call nothing more is reported. Harmless when repeated.
  public func cancel() {
    let body = onCancel
    onCancel = nil
    body?()
  }
}
