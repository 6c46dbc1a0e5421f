internal import CEvent
internal import Glibc

/// Opens connected, non-blocking, close-on-exec sockets.
///
/// By hand rather than with `bufferevent_socket_connect`: that makes sockets a child inherits, tries one
/// address only, and reports some failures by a return value and others by a callback.
extension Endpoint {
  /// Tries the addresses in turn; each gets an even share of what is left of the deadline.
  @LoopActor func connect(to addresses: [SocketAddress], deadline: Duration) async throws -> Int32 {
    let clock = LoopClock.system
    let end = clock.now + deadline
    var problem = StreamError.timedOut(self, after: deadline)
    for (index, address) in addresses.enumerated() {
      let share = (end - clock.now) / (addresses.count - index)
      guard share > .zero else { throw StreamError.timedOut(self, after: deadline) }
      do {
        return try await connect(to: address, within: share, of: deadline)
      } catch let error as StreamError {
        // What one address says counts more than that another one could not be asked.
        if case .starved = error, index > 0 { continue }
        problem = error
      }
    }
    throw problem
  }

  @LoopActor private func connect(
    to address: SocketAddress, within limit: Duration, of deadline: Duration
  ) async throws -> Int32 {
    let end = LoopClock.system.now + limit
    let isUnix = address.family == AF_UNIX
    let descriptor = address.makeSocket()
    guard descriptor >= 0 else { throw StreamError(connecting: self, at: address, code: errno) }
    var isHandedOut = false
    defer { if !isHandedOut { close(descriptor) } }
    if !isUnix { setOption(TCP_NODELAY, level: Int32(IPPROTO_TCP), of: descriptor) }
    while true {
      let code = address.withPointer { Glibc.connect(descriptor, $0, $1) } == 0 ? 0 : errno
      if code == 0 { break }
      if isUnix, code == EAGAIN {
        // The listener's backlog is full; unlike TCP, the kernel leaves the waiting to us.
        guard LoopClock.system.now < end else { throw StreamError.timedOut(self, after: deadline) }
        try await LoopClock.system.sleep(for: .milliseconds(2))
        continue
      }
      guard code == EINPROGRESS || code == EINTR else {
        throw StreamError(connecting: self, at: address, code: code)
      }
      // On this machine the answer is usually there already; asking is cheaper than a pass of the loop.
      if !isWritable(descriptor), !(try await becomesWritable(descriptor, before: end)) {
        throw StreamError.timedOut(self, after: deadline)
      }
      let result = pendingError(descriptor)
      if result != 0 { throw StreamError(connecting: self, at: address, code: result) }
      break
    }
    if !isUnix, SocketAddress.isConnectedToItself(descriptor) {
      throw StreamError(connecting: self, at: address, code: ECONNREFUSED)
    }
    isHandedOut = true
    return descriptor
  }

  private func isWritable(_ descriptor: Int32) -> Bool {
    var query = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    return poll(&query, 1, 0) == 1
  }

  @LoopActor private func becomesWritable(_ descriptor: Int32, before end: LoopClock.Instant) async throws -> Bool {
    let waiter = OneShotEvent<Bool>()
    let event = EventSource(writing: descriptor) { waiter.happen(with: true) }
    let timer = LoopClock.system.schedule(after: end - LoopClock.system.now) { waiter.happen(with: false) }
    defer {
      event.cancel()
      timer.cancel()
    }
    return try await waiter.wait()
  }

  private func pendingError(_ descriptor: Int32) -> Int32 {
    var code: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size) == 0 ? code : errno
  }
}

extension StreamError {
  /// The error of a connection that did not come about.
  init(connecting endpoint: Endpoint, at address: SocketAddress? = nil, code: Int32) {
    // A host without IPv6 has no address to connect from either, and that is no shortage.
    let isShortage = isLocalShortage(code) && (code != EADDRNOTAVAIL || address?.hasSource != false)
    self = isShortage ? .starved(endpoint, reason: errorText(code)) : .refused(endpoint, reason: errorText(code))
  }
}

/// Whether a system call failed because this host has run out of something.
public func isLocalShortage(_ code: Int32) -> Bool {
  [EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL].contains(code)
}

extension SocketAddress {
  /// A port nobody listens on can be given to the connecting socket itself, which then talks to itself
  /// (simultaneous open): a health check would find a dead service alive.
  static func isConnectedToItself(_ descriptor: Int32) -> Bool {
    guard let local = SocketAddress(of: descriptor, { getsockname($0, $1, $2) }),
      let peer = SocketAddress(of: descriptor, { getpeername($0, $1, $2) })
    else { return false }
    return local.port == peer.port && local.host == peer.host
  }
}

/// Switches a socket's option on.
func setOption(_ option: Int32, level: Int32, of descriptor: Int32) {
  var on: Int32 = 1
  setsockopt(descriptor, level, option, &on, socklen_t(MemoryLayout<Int32>.size))
}
