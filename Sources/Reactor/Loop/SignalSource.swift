internal import CEvent
internal import Glibc

/// Calls a body on the loop for each delivery of one Unix signal.
///
/// While it exists the signal's default action does not happen. One source per signal number and process.
@LoopActor public final class SignalSource {
  private var event: OpaquePointer?
  private var body: (@LoopActor () -> Void)?

  /// - Parameters:
  ///   - number: for example `SIGHUP`.
  ///   - body: runs once per delivery; several pending deliveries of one signal may be one call.
  public init(_ number: Int32, onSignal body: @escaping @LoopActor () -> Void) {
    self.body = body
    let events = Int16(EV_SIGNAL | EV_PERSIST)
    event = event_new(EventLoop.shared.base, number, events, onSignal, Unmanaged.passUnretained(self).toOpaque())
    precondition(event != nil && event_add(event, nil) == 0, "libevent refused signal \(number)")
  }

  isolated deinit { cancel() }

  /// Stops listening and restores the signal's default action.
  public func cancel() {
    if let event { event_free(event) }
    event = nil
    body = nil
  }

  fileprivate func deliver() { body?() }
}

private func onSignal(_ number: Int32, _ what: Int16, _ context: UnsafeMutableRawPointer?) {
  guard let context else { return }
  let source = Unmanaged<SignalSource>.fromOpaque(context).takeUnretainedValue()
  LoopActor.assumeIsolated { source.deliver() }
}
