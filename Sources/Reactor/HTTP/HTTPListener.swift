internal import CEvent
internal import Glibc

/// An HTTP/1.0 and 1.1 server on the loop: evhttp, with the limits it lacks by default.
///
/// Answers 400, 413 and 405 by itself to what is malformed, too long or no known method; every other
/// request reaches the handler, whatever its method. Letting go of the listener closes it.
///
/// Owns its `evhttp`, which owns sockets and connections and holds a bare pointer to the listener; it is
/// freed before the listener goes.
@LoopActor public final class HTTPListener {
  /// From evhttp's pointer to the listener: libevent gives accept failures no other context.
  fileprivate static var listeners: [OpaquePointer: Unmanaged<HTTPListener>] = [:]

  private let server: OpaquePointer
  private let limits: HTTPServerLimits
  private let handler: @LoopActor (HTTPExchange) -> Void
  /// With the socket file to remove at the end; nil for TCP and for what was taken over.
  private var sockets: [(bound: OpaquePointer, descriptor: Int32, path: String?)] = []
  private let connections: ConnectionTable
  /// Names at which browsers may ask, in lower case.
  private let hostNames: Set<String>
  private var retryTimer: LoopTimer?
  private var sweepTimer: LoopTimer?
  private var slowTimer: LoopTimer?
  /// Requests that wait for a later pass of the loop: each row has at most one of every address.
  private var rows: [[HTTPExchange]] = []
  /// In how many rows an address has its turn.
  private var turns: [String: Int] = [:]
  /// How many requests were answered in which pass.
  private var answered = (count: 0, pass: 0)
  private var isHandling = false
  private var isRetiring = false
  private var isClosed = false

  /// - Parameters:
  ///   - hostNames: names of this machine, besides its own, at which browsers may ask. Their requests under any other
  ///     name are answered 403: a foreign name that leads here belongs to a page that wants to read what is not its own.
  ///   - handler: gets every other request; it may answer before it returns or keep the exchange and answer later.
  public init(
    limits: HTTPServerLimits = HTTPServerLimits(), hostNames: [String] = [],
    handler: @escaping @LoopActor (HTTPExchange) -> Void
  ) {
    guard let server = evhttp_new(EventLoop.shared.base) else { preconditionFailure("out of memory") }
    self.server = server
    self.limits = limits
    self.handler = handler
    self.hostNames = Set((["localhost", HostInfo.name ?? ""] + hostNames).map { $0.lowercased() })
    connections = ConnectionTable(maxUnreadBytes: limits.maxUnreadBytes)
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
  /// - Parameter mode: of the socket's file, whatever the umask; nil leaves it to the umask.
  /// - Returns: the bound endpoint, with the real port where 0 was asked for.
  /// - Throws: ``ListenError``.
  @discardableResult
  public func listen(on endpoint: Endpoint, mode: UInt32? = nil) throws -> Endpoint {
    let descriptor = try endpoint.openListener(mode: mode)
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
    try Endpoint.prepareAdopted(descriptor)
    try serve(descriptor, path: nil)
  }

  /// The listening sockets. All are close-on-exec; clear that before handing them to a successor.
  public var descriptors: [Int32] { sockets.map(\.descriptor) }

  /// What the kernel keeps of a connection's answers; it doubles that for its own accounts.
  private static let kernelBytes: Int32 = 64 << 10

  private func serve(_ descriptor: Int32, path: String?) throws(ListenError) {
    precondition(!isClosed, "this listener is closed")
    let flags = UInt32(LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC)
    guard let listener = evconnlistener_new(EventLoop.shared.base, nil, nil, flags, 0, descriptor),
      let bound = evhttp_bind_listener(server, listener)
    else { throw .notListening(descriptor: descriptor, reason: "libevent refused it") }
    evconnlistener_set_error_cb(listener, onAcceptFailure)
    // Connections inherit it. By itself the kernel keeps megabytes for each that does not read.
    var room = HTTPListener.kernelBytes
    setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &room, socklen_t(MemoryLayout<Int32>.size))
    HTTPListener.listeners[server] = Unmanaged.passUnretained(self)
    sockets.append((bound: bound, descriptor: descriptor, path: path))
    if connections.count >= limits.maxConnections { pauseAccepting() }
  }

  /// Stops listening and drops every connection; answers to their requests go nowhere from then on.
  public func close() {
    guard !isClosed else { return }
    isClosed = true
    retryTimer?.cancel()
    sweepTimer?.cancel()
    slowTimer?.cancel()
    HTTPListener.listeners[server] = nil
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

  /// How long a connection that came, or had an answer, this shortly before gets to carry one more request, which is
  /// answered with `Connection: close`: one that is just closed fails a request that is on its way.
  private static let lastCall: Duration = .milliseconds(500)

  /// Accepts nothing more, while what connects waits in the kernel for a successor to ``descriptors``; returns when
  /// every request here has been answered, or `limit` has passed.
  public func retire(within limit: Duration) async {
    isRetiring = true
    setAccepting(false)
    let start = LoopClock.system.now
    while LoopClock.system.now - start < limit,
      connections.pendingCount > 0
        || LoopClock.system.now - start < HTTPListener.lastCall
          && connections.hasActive(since: start - HTTPListener.lastCall)
    {
      do { try await LoopClock.system.sleep(for: .milliseconds(5)) } catch { return }
    }
  }

  private func freeServer() {
    evhttp_free(server)
    connections.sweep()
  }

  // MARK: Requests

  fileprivate func handle(_ request: OpaquePointer) {
    if connections.hasFresh, let connection = evhttp_request_get_connection(request) {
      connections.markUsed(connection)
    }
    let bufferevent = evhttp_request_get_connection(request).flatMap { evhttp_connection_get_bufferevent($0) }
    // evhttp does not read the body of a method that it does not know: what follows is not a request.
    let isUnknown = evhttp_request_get_command(request).rawValue == HTTPExchange.unknownMethod
    let exchange = HTTPExchange(request, isLast: isRetiring || isUnknown)
    var isLeft = false
    isHandling = true
    if isUnknown {
      exchange.respond(status: 405, headers: [("Allow", "GET, HEAD, POST")], text: "this method is not known here\n")
    } else if let sentence = HTTPListener.refusal(of: request, hostNames: hostNames) {
      exchange.respond(status: 403, text: sentence + "\n")
    } else if rows.isEmpty, hasTime() {
      handler(exchange)
    } else {
      isLeft = true
    }
    isHandling = false
    let isAnswered = !exchange.handlerReturned(to: connections)
    if let bufferevent { connections.requestCame(bufferevent, isAnswered: isAnswered) }
    if isLeft { leave(exchange) }
  }

  /// How many requests are answered in one pass of the loop: a moment, even with long pages.
  private static let requestsPerPass = 32

  /// Counts a request; whether this pass of the loop has room for it.
  private func hasTime() -> Bool {
    if answered.pass != EventLoop.shared.pass { answered = (0, EventLoop.shared.pass) }
    answered.count += 1
    return answered.count <= HTTPListener.requestsPerPass
  }

  /// Leaves a request to a later pass, where addresses take turns: who asks much waits for itself.
  private func leave(_ exchange: HTTPExchange) {
    if rows.isEmpty { answerRowsSoon() }
    let row = turns[exchange.peer, default: 0]
    turns[exchange.peer] = row + 1
    if row < rows.count { rows[row].append(exchange) } else { rows.append([exchange]) }
  }

  private func answerRowsSoon() {
    LoopClock.system.schedule(after: .zero) { [weak self] in self?.answerRows() }
  }

  private func answerRows() {
    while !isClosed, !rows.isEmpty, hasTime() {
      let exchange = rows[0].removeFirst()
      if rows[0].isEmpty {
        rows.removeFirst()
        turns = turns.compactMapValues { $0 > 1 ? $0 - 1 : nil }
      }
      handler(exchange)
    }
    if isClosed { rows = [] } else if !rows.isEmpty { answerRowsSoon() }
  }

  // MARK: Connections

  fileprivate func makeConnection() -> OpaquePointer? {
    // Close-on-free: without it evhttp closes the socket itself while our reference keeps its events alive in
    // libevent, and the next descriptor of that number, a listener's say, never hears of anything again.
    let connection = bufferevent_socket_new(EventLoop.shared.base, -1, Int32(BEV_OPT_CLOSE_ON_FREE.rawValue))
    guard let connection else { return nil }
    if connections.cutGreedy(beyond: limits.maxPerAddress) > 0 { sweepSoon(after: HTTPListener.closingTime) }
    if connections.count + 1 >= limits.maxConnections { makeRoom() }
    // evhttp collects a whole body in the input buffer before it looks, so there must be room for one.
    connections.add(connection, inputLimit: limits.maxHeadBytes + limits.maxBodyBytes + (32 << 10))
    if connections.count >= limits.maxConnections { pauseAccepting() }
    sweepSoon()
    cutSlowLater()
    return connection
  }

  /// How long evhttp takes to see that a connection was cut: a pass of the loop.
  private static let closingTime = Duration.milliseconds(1)

  /// Looks after the connections whose end evhttp does not tell, those without a request so far.
  private func sweepSoon(after delay: Duration = .milliseconds(100)) {
    if sweepTimer != nil, delay > HTTPListener.closingTime { return }
    sweepTimer?.cancel()
    sweepTimer = LoopClock.system.schedule(after: delay) { [weak self] in
      guard let self, !self.isClosed else { return }
      self.sweepTimer = nil
      self.connections.sweepFresh()
      if self.connections.hasFresh { self.sweepSoon() }
    }
  }

  /// How long a connection must have been quiet to make room for others.
  private static let quietTime = Duration.seconds(1)

  private func makeRoom() {
    connections.sweep()
    // Those that were cut go within a pass, and make room then.
    guard connections.count + 1 >= limits.maxConnections, !connections.hasCut else { return }
    if connections.cutQuiet(since: .now - HTTPListener.quietTime) > 0 { sweepSoon(after: HTTPListener.closingTime) }
  }

  /// Looks after the requests that never get complete, as long as there are connections.
  private func cutSlowLater() {
    guard slowTimer == nil else { return }
    slowTimer = LoopClock.system.schedule(after: limits.requestTimeout / 4) { [weak self] in
      guard let self, !self.isClosed else { return }
      self.slowTimer = nil
      _ = self.connections.cutSlow(begunBefore: .now - self.limits.requestTimeout)
      if self.connections.count > 0 { self.cutSlowLater() }
    }
  }

  /// Stops accepting for a moment, at the connection limit and when the process is out of descriptors.
  fileprivate func pauseAccepting() {
    setAccepting(false)
    retryTimer?.cancel()
    let pause = connections.hasCut ? HTTPListener.closingTime : .milliseconds(20)
    retryTimer = LoopClock.system.schedule(after: pause) { [weak self] in
      guard let self, !self.isClosed else { return }
      if self.isRetiring { return }
      self.makeRoom()
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

private func onRequest(_ request: OpaquePointer?, _ context: UnsafeMutableRawPointer?) {
  guard let request else { return }
  nonisolated(unsafe) let loopRequest = request
  onLoop(context) { (listener: HTTPListener) in listener.handle(loopRequest) }
}

private func onConnection(_ base: OpaquePointer?, _ context: UnsafeMutableRawPointer?) -> OpaquePointer? {
  guard let context else { return nil }
  let listener = Unmanaged<HTTPListener>.fromOpaque(context).takeUnretainedValue()
  return LoopActor.assumeIsolated { listener.makeConnection() }
}

private func onAcceptFailure(_ listener: OpaquePointer?, _ context: UnsafeMutableRawPointer?) {
  guard let context else { return }
  // libevent calls on the loop's thread: the pointer does not leave it, and is only a key here.
  nonisolated(unsafe) let server = OpaquePointer(context)
  LoopActor.assumeIsolated { HTTPListener.listeners[server]?.takeUnretainedValue().pauseAccepting() }
}
