internal import CEvent
internal import Glibc

/// The open connections of a ``HTTPListener``: evhttp neither counts them nor tells the end of each.
///
/// Keeps one reference to each connection's bufferevent. The end of a connection that has had a request is told
/// by evhttp's close callback. For others there is none; but evhttp clears the callbacks of a bufferevent when it
/// is done with it, so whoever has none is gone.
struct ConnectionTable {
  private var guards: [OpaquePointer: InputGuard] = [:]
  /// Those without a request so far.
  private var fresh: Set<OpaquePointer> = []

  /// Open connections, and closed ones not yet noticed.
  var count: Int { guards.count }

  /// Whether a sweep could find anything.
  var hasFresh: Bool { !fresh.isEmpty }

  mutating func add(_ bufferevent: OpaquePointer, inputLimit: Int) {
    bufferevent_incref(bufferevent)
    guards[bufferevent] = InputGuard(bufferevent, limit: inputLimit)
    fresh.insert(bufferevent)
  }

  /// Says that a connection has a request; whether it is its first.
  mutating func markUsed(_ bufferevent: OpaquePointer) -> Bool { fresh.remove(bufferevent) != nil }

  mutating func remove(_ bufferevent: OpaquePointer) {
    fresh.remove(bufferevent)
    guard let inputGuard = guards.removeValue(forKey: bufferevent) else { return }
    inputGuard.detach()
    bufferevent_decref(bufferevent)
  }

  /// Lets go of closed connections. Not to be called right after ``add(_:inputLimit:)``: evhttp has yet to set
  /// the callbacks.
  mutating func sweep() {
    for bufferevent in Array(guards.keys) where isGone(bufferevent) { remove(bufferevent) }
  }

  /// The same for those without a request.
  mutating func sweepFresh() {
    for bufferevent in fresh where isGone(bufferevent) { remove(bufferevent) }
  }

  private func isGone(_ bufferevent: OpaquePointer) -> Bool {
    var onEvent: bufferevent_event_cb?
    bufferevent_getcb(bufferevent, nil, nil, &onEvent, nil)
    return onEvent == nil
  }
}

/// Cuts a connection that sends more than any request may have.
///
/// evhttp's limits do not hold for all it reads: a chunk's size line may go on for ever, and while an answer is
/// written everything that arrives is kept. The socket is shut down; evhttp then sees an end and cleans up.
private final class InputGuard {
  let bufferevent: OpaquePointer
  let limit: Int

  init(_ bufferevent: OpaquePointer, limit: Int) {
    self.bufferevent = bufferevent
    self.limit = limit
    evbuffer_add_cb(bufferevent_get_input(bufferevent), onInput, Unmanaged.passUnretained(self).toOpaque())
  }

  /// To be called before the bufferevent's reference is given back.
  func detach() {
    evbuffer_remove_cb(bufferevent_get_input(bufferevent), onInput, Unmanaged.passUnretained(self).toOpaque())
  }
}

private func onInput(
  _ buffer: OpaquePointer?, _ change: UnsafePointer<evbuffer_cb_info>?, _ context: UnsafeMutableRawPointer?
) {
  guard let context else { return }
  let inputGuard = Unmanaged<InputGuard>.fromOpaque(context).takeUnretainedValue()
  guard evbuffer_get_length(buffer) > inputGuard.limit else { return }
  let descriptor = bufferevent_getfd(inputGuard.bufferevent)
  // A reset when the socket is closed: a peer whose window is full would not see a mere end.
  var option = linger(l_onoff: 1, l_linger: 0)
  setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
  shutdown(descriptor, Int32(SHUT_RDWR))
}
