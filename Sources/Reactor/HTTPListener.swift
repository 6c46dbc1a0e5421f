internal import CEvent
internal import Glibc

/// An HTTP/1.0 and 1.1 server on the loop: evhttp, with the limits it lacks by default.
///
/// Answers 400, 413 and 501 by itself to what is malformed, too long or no known method; every other
/// request reaches the handler, whatever its method. Letting go of the listener closes it.
///
/// Owns its `evhttp`, which owns sockets and connections and holds a bare pointer to the listener; it is
/// freed before the listener goes.
@LoopActor public final class HTTPListener {
  private let server: OpaquePointer
  private let limits: HTTPServerLimits
  private let handler: @LoopActor (HTTPExchange) -> Void
  private var sockets: [BoundSocket] = []
  private var connections = ConnectionCount()
  private var retryTimer: LoopTimer?
  private var sweepTimer: LoopTimer?
  private var isHandling = false
  private var isClosed = false

  private struct BoundSocket {
    let bound: OpaquePointer
    let descriptor: Int32
    /// The socket file to remove at the end; nil for TCP and for what was taken over.
    let path: String?
  }

  /// - Parameter handler: gets every request; it may answer before it returns or keep the exchange and answer later.
  public init(
    limits: HTTPServerLimits = HTTPServerLimits(), handler: @escaping @LoopActor (HTTPExchange) -> Void
  ) {
    guard let server = evhttp_new(EventLoop.shared.base) else { preconditionFailure("out of memory") }
    self.server = server
    self.limits = limits
    self.handler = handler
    evhttp_set_max_headers_size(server, limits.maxHeadBytes)
    evhttp_set_max_body_size(server, limits.maxBodyBytes)
    evhttp_set_allowed_methods(server, HTTPExchange.knownMethods)
    evhttp_set_default_content_type(server, nil)
    var timeout = limits.idleTimeout.timeval
    evhttp_set_timeout_tv(server, &timeout)
    let context = Unmanaged.passUnretained(self).toOpaque()
    evhttp_set_gencb(server, onRequest, context)
    evhttp_set_bevcb(server, onConnection, context)
  }

  isolated deinit { close() }

  // MARK: Sockets

  /// Binds and listens.
  ///
  /// A socket file that nobody listens on any more is replaced; ``close()`` removes it again. A host name
  /// is looked up on the spot: give an address.
  /// - Returns: the bound endpoint, with the real port where 0 was asked for.
  /// - Throws: ``ListenError``.
  @discardableResult
  public func listen(on endpoint: Endpoint) throws -> Endpoint {
    let descriptor = try ListeningSocket.open(endpoint)
    if case .unix(let path) = endpoint {
      try serve(descriptor, path: path)
      return endpoint
    }
    try serve(descriptor, path: nil)
    guard case .tcp(let host, _) = endpoint, let local = SocketAddress(of: descriptor, { getsockname($0, $1, $2) })
    else { return endpoint }
    return .tcp(host: host, port: local.port)
  }

  /// Takes over a listening stream socket: from systemd, or from the process this one replaced.
  /// - Throws: ``ListenError``; the descriptor then still belongs to the caller.
  public func adopt(descriptor: Int32) throws {
    try ListeningSocket.prepareAdopted(descriptor)
    try serve(descriptor, path: nil)
  }

  /// The listening sockets. All are close-on-exec; whoever hands them to a successor lifts that first.
  public var descriptors: [Int32] { sockets.map(\.descriptor) }

  private func serve(_ descriptor: Int32, path: String?) throws(ListenError) {
    precondition(!isClosed, "this listener is closed")
    let flags = UInt32(LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC)
    guard let listener = evconnlistener_new(EventLoop.shared.base, nil, nil, flags, 0, descriptor),
      let bound = evhttp_bind_listener(server, listener)
    else { throw .notListening(descriptor: descriptor, reason: "libevent refused it") }
    evconnlistener_set_error_cb(listener, onAcceptFailure)
    AcceptFailures.listeners[server] = AcceptFailures.Entry(listener: self)
    sockets.append(BoundSocket(bound: bound, descriptor: descriptor, path: path))
    if connections.count >= limits.maxConnections { pauseAccepting() }
  }

  /// Stops listening and drops every connection; answers to their requests go nowhere from then on.
  public func close() {
    guard !isClosed else { return }
    isClosed = true
    retryTimer?.cancel()
    sweepTimer?.cancel()
    AcceptFailures.listeners[server] = nil
    for socket in sockets {
      evhttp_del_accept_socket(server, socket.bound)
      if let path = socket.path { unlink(path) }
    }
    sockets = []
    if isHandling {
      // evhttp still uses the connection whose handler called us; it goes on the next pass.
      LoopClock.system.schedule(after: .zero) { self.freeServer() }
    } else {
      freeServer()
    }
  }

  private func freeServer() {
    evhttp_free(server)
    connections.sweepAll()
  }

  // MARK: Requests

  fileprivate func handle(_ request: OpaquePointer) {
    let exchange = HTTPExchange(request)
    isHandling = true
    handler(exchange)
    isHandling = false
    exchange.handlerReturned()
  }

  // MARK: Connections

  fileprivate func makeConnection() -> OpaquePointer? {
    // Close-on-free: without it evhttp closes the socket itself while our reference keeps its events alive in
    // libevent, and the next descriptor of that number, a listener's say, never hears of anything again.
    let connection = bufferevent_socket_new(EventLoop.shared.base, -1, Int32(BEV_OPT_CLOSE_ON_FREE.rawValue))
    guard let connection else { return nil }
    if connections.count + 1 >= limits.maxConnections { connections.sweepAll() }
    // evhttp collects a whole body in the input buffer before it looks, so there must be room for one.
    connections.add(connection, inputLimit: limits.maxHeadBytes + limits.maxBodyBytes + (32 << 10))
    if connections.count >= limits.maxConnections { pauseAccepting() }
    sweepSoon()
    return connection
  }

  /// A socket that evhttp is done with is closed by the sweep; its peer knew before, evhttp shuts it down.
  private func sweepSoon() {
    guard sweepTimer == nil else { return }
    sweepTimer = LoopClock.system.schedule(after: .milliseconds(100)) { [weak self] in
      guard let self, !self.isClosed else { return }
      self.sweepTimer = nil
      self.connections.sweepAll()
      if self.connections.count > 0 { self.sweepSoon() }
    }
  }

  /// Stops accepting for a moment, at the connection limit and when the process is out of descriptors.
  fileprivate func pauseAccepting() {
    setAccepting(false)
    retryTimer?.cancel()
    retryTimer = LoopClock.system.schedule(after: .milliseconds(20)) { [weak self] in
      guard let self, !self.isClosed else { return }
      self.connections.sweepAll()
      if self.connections.count < self.limits.maxConnections { self.setAccepting(true) } else { self.pauseAccepting() }
    }
  }

  private func setAccepting(_ isAccepting: Bool) {
    for socket in sockets {
      let listener = evhttp_bound_socket_get_listener(socket.bound)
      _ = isAccepting ? evconnlistener_enable(listener) : evconnlistener_disable(listener)
    }
  }
}

/// Counts connections, which evhttp does not, and does not tell the end of.
///
/// Keeps one reference to each connection's bufferevent. evhttp clears the callbacks of a bufferevent when it
/// is done with it: whoever has none is gone. Each new connection pays for looking at a few old ones.
private struct ConnectionCount {
  private var connections: [InputGuard] = []
  private var next = 0

  /// Open connections, and closed ones not yet noticed.
  var count: Int { connections.count }

  mutating func add(_ bufferevent: OpaquePointer, inputLimit: Int) {
    for _ in 0..<4 where !connections.isEmpty { sweepOne() }
    bufferevent_incref(bufferevent)
    connections.append(InputGuard(bufferevent, limit: inputLimit))
  }

  /// Lets go of what is closed. Not to be called right after ``add(_:inputLimit:)``: evhttp has yet to set the
  /// callbacks.
  mutating func sweepAll() {
    next = 0
    for _ in 0..<connections.count { sweepOne() }
  }

  private mutating func sweepOne() {
    if next >= connections.count { next = 0 }
    let candidate = connections[next]
    var onEvent: bufferevent_event_cb?
    bufferevent_getcb(candidate.bufferevent, nil, nil, &onEvent, nil)
    guard onEvent == nil else {
      next += 1
      return
    }
    connections.swapAt(next, connections.count - 1)
    connections.removeLast()
    bufferevent_decref(candidate.bufferevent)
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
    // Goes with the buffer; ConnectionCount keeps this object until the buffer is gone.
    evbuffer_add_cb(bufferevent_get_input(bufferevent), onInput, Unmanaged.passUnretained(self).toOpaque())
  }
}

/// From evhttp's pointer to the listener: libevent gives accept failures no other context.
@LoopActor private enum AcceptFailures {
  struct Entry { weak var listener: HTTPListener? }
  static var listeners: [OpaquePointer: Entry] = [:]
}

private func onRequest(_ request: OpaquePointer?, _ context: UnsafeMutableRawPointer?) {
  guard let request = LoopPointer(request), let context else { return }
  let listener = Unmanaged<HTTPListener>.fromOpaque(context).takeUnretainedValue()
  LoopActor.assumeIsolated { listener.handle(request.pointer) }
}

private func onConnection(_ base: OpaquePointer?, _ context: UnsafeMutableRawPointer?) -> OpaquePointer? {
  guard let context else { return nil }
  let listener = Unmanaged<HTTPListener>.fromOpaque(context).takeUnretainedValue()
  return LoopActor.assumeIsolated { listener.makeConnection() }
}

private func onAcceptFailure(_ listener: OpaquePointer?, _ context: UnsafeMutableRawPointer?) {
  guard let server = LoopPointer(context.map { OpaquePointer($0) }) else { return }
  LoopActor.assumeIsolated { AcceptFailures.listeners[server.pointer]?.listener?.pauseAccepting() }
}

private func onInput(
  _ buffer: OpaquePointer?, _ change: UnsafePointer<evbuffer_cb_info>?, _ context: UnsafeMutableRawPointer?
) {
  guard let context else { return }
  let guardian = Unmanaged<InputGuard>.fromOpaque(context).takeUnretainedValue()
  guard evbuffer_get_length(buffer) > guardian.limit else { return }
  let descriptor = bufferevent_getfd(guardian.bufferevent)
  // A reset when evhttp closes: a peer whose window is full would not see a mere end.
  var option = linger(l_onoff: 1, l_linger: 0)
  setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
  shutdown(descriptor, Int32(SHUT_RDWR))
}
