internal import CEvent
internal import Glibc

/// Calls a body whenever a descriptor is ready; does not own the descriptor.
@LoopActor final class DescriptorEvent {
  enum Interest { case reading, writing }

  private var event: OpaquePointer?
  private let body: @LoopActor () -> Void

  /// - Parameter body: runs again and again as long as the descriptor is ready and this is not cancelled.
  init(_ descriptor: Int32, for interest: Interest, onReady body: @escaping @LoopActor () -> Void) {
    self.body = body
    let what = Int16((interest == .reading ? EV_READ : EV_WRITE) | EV_PERSIST)
    event = event_new(EventLoop.shared.base, descriptor, what, onReady, Unmanaged.passUnretained(self).toOpaque())
    precondition(event != nil && event_add(event, nil) == 0, "libevent refused descriptor \(descriptor)")
  }

  isolated deinit { cancel() }

  /// To be called before the descriptor is closed.
  func cancel() {
    if let event { event_free(event) }
    event = nil
  }

  fileprivate func fire() { body() }
}

private func onReady(_ descriptor: Int32, _ what: Int16, _ context: UnsafeMutableRawPointer?) {
  guard let context else { return }
  let event = Unmanaged<DescriptorEvent>.fromOpaque(context).takeUnretainedValue()
  LoopActor.assumeIsolated { event.fire() }
}

/// The system's text for an error number.
func errorText(_ code: Int32) -> String { String(cString: strerror(code)) }

/// A C object's pointer on its way from a callback into isolated code.
///
/// `@unchecked Sendable`: made in a libevent callback, which is on the loop's thread, and used there at once.
struct LoopPointer: @unchecked Sendable {
  let pointer: OpaquePointer

  init?(_ pointer: OpaquePointer?) {
    guard let pointer else { return nil }
    self.pointer = pointer
  }
}
