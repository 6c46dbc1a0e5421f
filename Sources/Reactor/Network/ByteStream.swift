internal import CEvent
internal import Glibc

/// One TCP, TLS or Unix connection, read and written in order, with one total deadline.
///
/// At most one read waits at a time. A cancelled task stops waiting with `CancellationError`; the
/// stream itself stays as it is. Letting go of the stream closes it.
///
/// Owns its bufferevent, which owns socket and TLS session. libevent holds a bare pointer to the
/// stream; it is gone from libevent before the stream is.
@LoopActor public final class ByteStream {
  /// Bytes taken from the socket ahead of what was asked for; the rest waits in the kernel.
  private static let readAhead = 64 << 10
  /// More unsent bytes than this are a peer that does not read.
  private static let maximumUnsent = 16 << 20

  /// What was connected to.
  public let endpoint: Endpoint

  private var bufferevent: OpaquePointer?
  private let session: OpaquePointer?
  /// Ends reading, once what has arrived is used up.
  private var readFailure: StreamError?
  private var writeFailure: StreamError?
  private var isAtEnd = false
  /// Reading stops for a while at this many bytes. Not libevent's own watermark: that calls back without end, in the
  /// same pass of the loop, until somebody has read, and so keeps every task from running.
  private var highWater = ByteStream.readAhead
  private var isPaused = false
  private var readWaiter: OneShotEvent<Void>?
  private var writeWaiter: OneShotEvent<Void>?
  private var connectWaiter: OneShotEvent<Void>?
  private var deadlineTimer: LoopTimer?

  /// Connects, and with `tls` completes the handshake.
  ///
  /// Several addresses of a name are tried in turn. `deadline` covers all of it and stays active for what
  /// follows, until ``setDeadline(after:)``.
  /// - Parameters:
  ///   - opening: the look-up and the connection may not take longer; nil leaves them to the deadline.
  ///   - handshake: the handshake may not take longer; nil leaves it to the deadline.
  /// - Throws: ``StreamError``, or `CancellationError`.
  public static func connect(
    to endpoint: Endpoint, tls: TLSOptions? = nil, deadline: Duration, opening: Duration? = nil,
    handshake: Duration? = nil
  ) async throws -> ByteStream {
    let clock = LoopClock.system
    let end = clock.now + deadline
    let opening = min(opening ?? deadline, deadline)
    let openEnd = clock.now + opening
    let addresses = try await endpoint.addresses(deadline: opening)
    let descriptor: Int32
    do {
      descriptor = try await endpoint.connect(to: addresses, deadline: openEnd - clock.now)
    } catch StreamError.timedOut {
      throw StreamError.timedOut(endpoint, after: opening)
    }
    let stream = try ByteStream(descriptor, to: endpoint, tls: tls)
    if tls != nil {
      let left = end - clock.now
      let limit = min(handshake ?? left, left)
      stream.startDeadline(until: clock.now + limit, stated: handshake.map { min($0, deadline) } ?? deadline)
      try await stream.awaitHandshake()
    }
    stream.startDeadline(until: end, stated: deadline)
    return stream
  }

  /// Takes over a connected, non-blocking descriptor.
  init(_ descriptor: Int32, to endpoint: Endpoint, tls: TLSOptions?) throws(StreamError) {
    self.endpoint = endpoint
    let options = Int32(BEV_OPT_CLOSE_ON_FREE.rawValue)
    if let tls {
      do throws(StreamError) {
        session = try tls.makeSession(for: endpoint)
      } catch {
        Glibc.close(descriptor)
        throw error
      }
      bufferevent = bufferevent_openssl_socket_new(
        EventLoop.shared.base, descriptor, session, BUFFEREVENT_SSL_CONNECTING, options)
    } else {
      session = nil
      bufferevent = bufferevent_socket_new(EventLoop.shared.base, descriptor, options)
    }
    guard let bufferevent else {
      Glibc.close(descriptor)
      throw .failed(endpoint, reason: "libevent could not set up the connection")
    }
    bufferevent_setcb(bufferevent, onRead, onWrite, onEvent, Unmanaged.passUnretained(self).toOpaque())
    bufferevent_enable(bufferevent, Int16(EV_READ | EV_WRITE))
  }

  isolated deinit { release() }

  // MARK: Deadline and end

  /// Sets the time by which everything that follows must be done, from now; nil lifts it.
  ///
  /// When it passes, the connection is closed and every call throws ``StreamError/timedOut(_:after:)``.
  public func setDeadline(after limit: Duration?) {
    deadlineTimer?.cancel()
    deadlineTimer = nil
    if let limit { startDeadline(until: LoopClock.system.now + limit, stated: limit) }
  }

  /// Starts a deadline at a moment; the error names the stated limit.
  func startDeadline(until end: LoopClock.Instant, stated limit: Duration) {
    deadlineTimer?.cancel()
    guard bufferevent != nil else { return }
    deadlineTimer = LoopClock.system.schedule(after: end - LoopClock.system.now) { [weak self] in
      guard let self else { return }
      self.end(with: .timedOut(self.endpoint, after: limit))
    }
  }

  /// Closes; unsent bytes are dropped, waiting and later calls throw ``StreamError/closed(_:)``.
  public func close() {
    if bufferevent != nil { end(with: .closed(endpoint)) }
  }

  private func end(with error: StreamError) {
    release()
    readFailure = error
    writeFailure = error
    wake(error)
  }

  private func wake(_ error: any Error) {
    for waiter in [readWaiter, writeWaiter, connectWaiter] { waiter?.fail(with: error) }
  }

  private func release() {
    deadlineTimer?.cancel()
    deadlineTimer = nil
    guard let bufferevent else { return }
    self.bufferevent = nil
    if let session, readFailure == nil, connectWaiter == nil {
      SSL_shutdown(session)
      ERR_clear_error()
    }
    bufferevent_free(bufferevent)
  }

  /// Whether both directions are open and at rest: nothing unread, nothing unsent.
  var isIdle: Bool {
    guard let bufferevent, readFailure == nil, writeFailure == nil, !isAtEnd else { return false }
    return available == 0 && evbuffer_get_length(bufferevent_get_output(bufferevent)) == 0
  }

  // MARK: Writing

  /// Queues `bytes` and returns at once.
  /// - Throws: ``StreamError``: the connection is gone, or the peer does not read what was sent before.
  public func write(_ bytes: [UInt8]) throws {
    try bytes.withUnsafeBytes { try write($0) }
  }

  /// Queues `text` as UTF-8 and returns at once; throws as the other ``write(_:)``.
  public func write(_ text: String) throws {
    var text = text
    try text.withUTF8 { try write(UnsafeRawBufferPointer($0)) }
  }

  private func write(_ bytes: UnsafeRawBufferPointer) throws(StreamError) {
    if let writeFailure { throw writeFailure }
    guard let bufferevent else { throw .closed(endpoint) }
    let unsent = evbuffer_get_length(bufferevent_get_output(bufferevent))
    guard unsent + bytes.count <= ByteStream.maximumUnsent else {
      throw .failed(endpoint, reason: "\(unsent) bytes are still unsent; the peer does not read")
    }
    guard bytes.isEmpty || bufferevent_write(bufferevent, bytes.baseAddress, bytes.count) == 0 else {
      throw .failed(endpoint, reason: "out of memory")
    }
  }

  /// Waits until everything written has been handed to the kernel.
  /// - Throws: ``StreamError``, or `CancellationError`.
  public func flush() async throws {
    while true {
      if let writeFailure { throw writeFailure }
      guard let bufferevent else { throw StreamError.closed(endpoint) }
      if evbuffer_get_length(bufferevent_get_output(bufferevent)) == 0 { return }
      let waiter = OneShotEvent<Void>()
      writeWaiter = waiter
      defer { writeWaiter = nil }
      try await waiter.wait()
    }
  }

  // MARK: Reading

  /// What has arrived, at least one byte, as soon as there is any; empty at the end of the stream.
  /// - Throws: ``StreamError``, or `CancellationError`.
  public func read(upTo maximum: Int) async throws -> [UInt8] {
    while available == 0 {
      guard try await more() else { return [] }
    }
    return take(min(available, maximum))
  }

  /// The next line without its `\n` or `\r\n`; bytes outside UTF-8 are replaced.
  /// - Parameter limit: the most bytes before the `\n`.
  /// - Throws: ``StreamError`` (`closed` when the stream ends without a `\n`), or `CancellationError`.
  public func readLine(limit: Int) async throws -> String {
    while true {
      if let length = lengthOfLine() {
        guard length <= limit else { throw StreamError.tooLong(endpoint, limit: limit) }
        var line = take(length + 1).dropLast()
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        return String(decoding: line, as: UTF8.self)
      }
      guard available <= limit else { throw StreamError.tooLong(endpoint, limit: limit) }
      guard try await more() else { throw StreamError.closed(endpoint) }
    }
  }

  /// Exactly `count` bytes.
  /// - Throws: ``StreamError`` (`closed` when the stream ends before), or `CancellationError`.
  public func read(exactly count: Int) async throws -> [UInt8] {
    while available < count {
      guard try await more() else { throw StreamError.closed(endpoint) }
    }
    return take(count)
  }

  /// Everything until the peer closes.
  /// - Throws: ``StreamError`` (`tooLong` beyond `limit` bytes), or `CancellationError`.
  public func readToEnd(limit: Int) async throws -> [UInt8] {
    var bytes: [UInt8] = []
    while true {
      bytes += take(available)
      guard bytes.count <= limit else { throw StreamError.tooLong(endpoint, limit: limit) }
      guard try await more() else { return bytes }
    }
  }

  private var input: OpaquePointer? { bufferevent.map { bufferevent_get_input($0) } }

  private var available: Int { input.map { evbuffer_get_length($0) } ?? 0 }

  private func lengthOfLine() -> Int? {
    guard let input else { return nil }
    let found = evbuffer_search(input, "\n", 1, nil)
    return found.pos >= 0 ? found.pos : nil
  }

  private func take(_ count: Int) -> [UInt8] {
    guard count > 0, let input else { return [] }
    return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      initialized = max(0, Int(evbuffer_remove(input, buffer.baseAddress, count)))
    }
  }

  /// Waits until more has arrived than there is now; false at the end of the stream.
  private func more() async throws -> Bool {
    let before = available
    if before >= highWater { highWater = before * 2 }
    if isPaused, let bufferevent {
      isPaused = false
      bufferevent_enable(bufferevent, Int16(EV_READ))
    }
    while available <= before {
      if let readFailure { throw readFailure }
      if isAtEnd { return false }
      precondition(readWaiter == nil, "two reads of one stream at a time")
      let waiter = OneShotEvent<Void>()
      readWaiter = waiter
      defer { readWaiter = nil }
      try await waiter.wait()
    }
    return true
  }

  private func awaitHandshake() async throws {
    let waiter = OneShotEvent<Void>()
    connectWaiter = waiter
    do {
      try await waiter.wait()
      connectWaiter = nil
    } catch {
      release()
      throw error
    }
  }

  // MARK: libevent's side

  fileprivate func bytesArrived() {
    if available >= highWater, let bufferevent {
      isPaused = true
      bufferevent_disable(bufferevent, Int16(EV_READ))
    }
    readWaiter?.happen()
  }

  fileprivate func bytesLeft() { writeWaiter?.happen() }

  fileprivate func happened(_ what: Int32, code: Int32) {
    if what & BEV_EVENT_CONNECTED != 0 {
      connectWaiter?.happen()
      return
    }
    if what & BEV_EVENT_EOF != 0, connectWaiter == nil {
      isAtEnd = true
      if session != nil { writeFailure = .closed(endpoint) }
      bytesArrived()
      return
    }
    let error = StreamError.failed(endpoint, reason: reason(what, code: code))
    writeFailure = error
    if session == nil, what & BEV_EVENT_WRITING != 0 {
      // An answer sent before the peer stopped listening can still be read.
      writeWaiter?.fail(with: error)
    } else {
      readFailure = error
      wake(error)
    }
  }

  private func reason(_ what: Int32, code: Int32) -> String {
    guard session != nil, let bufferevent else { return errorText(code) }
    let tlsCode = UInt(bufferevent_get_openssl_error(bufferevent))
    if what & BEV_EVENT_EOF != 0 { return "closed during the TLS handshake" }
    if tlsCode == 0, code != 0, SSL_get_verify_result(session) == Int(X509_V_OK) { return errorText(code) }
    return TLSOptions.describeFailure(of: session, code: tlsCode)
  }
}

private func onRead(_ bufferevent: OpaquePointer?, _ context: UnsafeMutableRawPointer?) {
  onLoop(context) { (stream: ByteStream) in stream.bytesArrived() }
}

private func onWrite(_ bufferevent: OpaquePointer?, _ context: UnsafeMutableRawPointer?) {
  onLoop(context) { (stream: ByteStream) in stream.bytesLeft() }
}

private func onEvent(_ bufferevent: OpaquePointer?, _ what: Int16, _ context: UnsafeMutableRawPointer?) {
  let code = errno
  onLoop(context) { (stream: ByteStream) in stream.happened(Int32(what), code: code) }
}
