internal import CEvent
internal import Glibc

/// Calls a body on the loop for each delivery of one Unix signal, or whenever a descriptor is ready.
///
/// While one for a signal exists the signal's default action does not happen: one per signal number and process. One for
/// a descriptor does not own it.
@LoopActor public final class EventSource {
  private var event: OpaquePointer?
  private var body: (@LoopActor () -> Void)?

  /// - Parameters:
  ///   - number: for example `SIGHUP`.
  ///   - body: runs once per delivery; several pending deliveries of one signal may be one call.
  public convenience init(signal number: Int32, onSignal body: @escaping @LoopActor () -> Void) {
    self.init(number, for: EV_SIGNAL, body: body)
  }

  /// - Parameter body: runs again and again as long as something can be read and this is not cancelled.
  convenience init(reading descriptor: Int32, onReady body: @escaping @LoopActor () -> Void) {
    self.init(descriptor, for: EV_READ, body: body)
  }

  /// - Parameter body: runs again and again as long as something can be written and this is not cancelled.
  convenience init(writing descriptor: Int32, onReady body: @escaping @LoopActor () -> Void) {
    self.init(descriptor, for: EV_WRITE, body: body)
  }

  private init(_ number: Int32, for what: Int32, body: @escaping @LoopActor () -> Void) {
    self.body = body
    let context = Unmanaged.passUnretained(self).toOpaque()
    event = event_new(EventLoop.shared.base, number, Int16(what | EV_PERSIST), onEvent, context)
    precondition(event != nil && event_add(event, nil) == 0, "libevent refused signal or descriptor \(number)")
  }

  isolated deinit { cancel() }

  /// Stops listening and restores the signal's default action. To be called before a descriptor is closed.
  public func cancel() {
    if let event { event_free(event) }
    event = nil
    body = nil
  }

  fileprivate func fire() { body?() }
}

private func onEvent(_ number: Int32, _ what: Int16, _ context: UnsafeMutableRawPointer?) {
  onLoop(context) { (source: EventSource) in source.fire() }
}

/// Runs `body`, in a callback of libevent, with the object whose bare pointer the callback has as its context. It is
/// kept for the call, which may let go of the last reference.
func onLoop<Owner: AnyObject>(_ context: UnsafeMutableRawPointer?, run body: @escaping @LoopActor (Owner) -> Void) {
  guard let context else { return }
  // libevent calls on the loop's thread: the object does not leave it.
  nonisolated(unsafe) let owner = Unmanaged<Owner>.fromOpaque(context).takeUnretainedValue()
  LoopActor.assumeIsolated { body(owner) }
}
