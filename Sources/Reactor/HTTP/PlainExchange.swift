internal import CEvent
internal import Glibc

/// One HTTP request and its answer over TCP without TLS, to one known address.
///
/// Health checks are most of what an agent does, and nearly all they cost is the kernel's work. So this is the bare
/// socket: create, connect, send, add to epoll, receive, take out, close; the deadline is the event's own time-out.
/// A ``ByteStream`` needs three times as many calls.
@LoopActor final class PlainExchange {
  /// One for all, as the loop's thread reads one socket at a time: a block of this size from the heap for every
  /// answer was a fifth of a check's own work.
  private static let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 16 << 10, alignment: 16)

  private let endpoint: Endpoint
  private let address: SocketAddress
  private let deadline: Duration
  private let timeouts: HTTPTimeouts
  /// What the step under way may take in all, for the error.
  private var stepLimit: Duration
  private let end: LoopClock.Instant
  private let waiter = OneShotEvent<HTTPResponse>()
  private var reader: HTTPResponseReader
  private var unsent: ArraySlice<UInt8>
  private var descriptor: Int32 = -1
  private var event: OpaquePointer?
  /// Errors before are the connection's, errors after the exchange's.
  private var isConnected = false

  /// - Parameters:
  ///   - bytes: the request as sent.
  ///   - deadline: for all of it.
  ///   - timeouts: for single steps.
  init(
    _ bytes: [UInt8], to endpoint: Endpoint, at address: SocketAddress, isHead: Bool, deadline: Duration,
    timeouts: HTTPTimeouts,
    limits: HTTPClientLimits
  ) {
    self.endpoint = endpoint
    self.address = address
    self.deadline = deadline
    self.timeouts = timeouts
    stepLimit = deadline
    end = LoopClock.system.now + deadline
    reader = HTTPResponseReader(of: endpoint, limits: limits, isHead: isHead)
    unsent = bytes[...]
  }

  isolated deinit { release() }

  /// Does it; to be called once.
  /// - Throws: ``StreamError``, ``HTTPClientError``, or `CancellationError`.
  func run() async throws -> HTTPResponse {
    defer { release() }
    start()
    return try await waiter.wait()
  }

  private func start() {
    descriptor = address.makeSocket()
    guard descriptor >= 0 else { return fail(errno) }
    let code = address.withPointer { connect(descriptor, $0, $1) } == 0 ? 0 : errno
    guard code == 0 || code == EINPROGRESS || code == EINTR else { return fail(code) }
    // On this machine the connection is there already, whatever `connect` says: sending tells.
    sendRest()
  }

  private func sendRest() {
    while !unsent.isEmpty {
      let count = unsent.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      if count >= 0 {
        isConnected = true
        unsent = unsent.dropFirst(count)
        continue
      }
      switch errno {
      case EINTR: continue
      case EAGAIN: return wait(for: EV_WRITE)
      // A server may answer before it has read everything, and close: its answer counts.
      case EPIPE where isConnected, ECONNRESET where isConnected: unsent = []
      default: return fail(errno)
      }
    }
    wait(for: EV_READ)
  }

  private func receive() {
    let buffer = PlainExchange.buffer
    let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
    if count < 0 { return errno == EAGAIN || errno == EINTR ? wait(for: EV_READ) : fail(errno) }
    let piece = Array(buffer.prefix(count))
    if piece.isEmpty {
      return reader.finish() ? succeed() : finish(StreamError.closed(endpoint))
    }
    do {
      try reader.consume(piece)
    } catch HTTPClientError.malformed where SocketAddress.isConnectedToItself(descriptor) {
      // What a socket connected to itself reads is its own request.
      return fail(ECONNREFUSED)
    } catch {
      return finish(error)
    }
    if reader.isComplete { succeed() } else { wait(for: EV_READ) }
  }

  // MARK: Waiting

  /// One event at a time, for one round: libevent takes it out of epoll before it calls.
  private func wait(for what: Int32) {
    var left = end - LoopClock.system.now
    stepLimit = deadline
    // Until the connection is there all waiting is one step; of the answer every wait is a step of its own.
    if let limit = isConnected ? timeouts.read : timeouts.open {
      let stepLeft = isConnected ? limit : left - deadline + limit
      if stepLeft < left { (left, stepLimit) = (stepLeft, limit) }
    }
    guard left > .zero else { return finish(StreamError.timedOut(endpoint, after: stepLimit)) }
    if let event { event_free(event) }
    let context = Unmanaged.passUnretained(self).toOpaque()
    event = event_new(EventLoop.shared.base, descriptor, Int16(what), onReady, context)
    var interval = left.timeval
    guard event != nil, event_add(event, &interval) == 0 else { return fail(ENOMEM) }
  }

  fileprivate func fire(_ what: Int16) {
    if Int32(what) & EV_TIMEOUT != 0 { return finish(StreamError.timedOut(endpoint, after: stepLimit)) }
    if Int32(what) & EV_WRITE != 0 { sendRest() } else { receive() }
  }

  // MARK: The end

  private func succeed() {
    release()
    waiter.happen(with: reader.response)
  }

  private func fail(_ code: Int32) {
    if isConnected && code != ECONNREFUSED && !isLocalShortage(code) {
      finish(StreamError.failed(endpoint, reason: errorText(code)))
    } else {
      finish(StreamError(connecting: endpoint, at: address, code: code))
    }
  }

  private func finish(_ error: any Error) {
    release()
    waiter.fail(with: error)
  }

  private func release() {
    if let event { event_free(event) }
    event = nil
    if descriptor >= 0 { close(descriptor) }
    descriptor = -1
  }
}

private func onReady(_ descriptor: Int32, _ what: Int16, _ context: UnsafeMutableRawPointer?) {
  onLoop(context) { (exchange: PlainExchange) in exchange.fire(what) }
}
