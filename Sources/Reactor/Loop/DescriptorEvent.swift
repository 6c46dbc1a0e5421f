internal import CEvent
internal import Glibc

/// Calls a body whenever a descriptor is ready; does not own the descriptor.
@LoopActor final class DescriptorEvent {
  private var event: OpaquePointer?
  private let body: @LoopActor () -> Void

  /// - Parameter body: runs again and again as long as something can be read and this is not cancelled.
  convenience init(reading descriptor: Int32, onReady body: @escaping @LoopActor () -> Void) {
    self.init(descriptor, for: EV_READ, onReady: body)
  }

  /// - Parameter body: runs again and again as long as something can be written and this is not cancelled.
  convenience init(writing descriptor: Int32, onReady body: @escaping @LoopActor () -> Void) {
    self.init(descriptor, for: EV_WRITE, onReady: body)
  }

  private init(_ descriptor: Int32, for what: Int32, onReady body: @escaping @LoopActor () -> Void) {
    self.body = body
    let context = Unmanaged.passUnretained(self).toOpaque()
    event = event_new(EventLoop.shared.base, descriptor, Int16(what | EV_PERSIST), onReady, context)
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
