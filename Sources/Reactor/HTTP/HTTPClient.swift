internal import SmartStack

/// Sends single HTTP requests, as health checks need them.
///
/// One connection per request unless the request says where to keep it, answers of HTTP/1.0 and 1.1, no redirects, hard
/// limits on head, body and time.
@LoopActor public enum HTTPClient {
  /// Sends `request` and reads the whole answer.
  /// - Parameters:
  ///   - deadline: for everything, from the name's look-up to the body's last byte.
  ///   - timeouts: for single steps within the deadline.
  ///   - limits: what the answer may cost.
  /// - Throws: ``StreamError``, ``HTTPClientError``, or `CancellationError`.
  public static func send(
    _ request: HTTPRequest, deadline: Duration, timeouts: HTTPTimeouts = HTTPTimeouts(),
    limits: HTTPClientLimits = HTTPClientLimits()
  ) async throws -> HTTPResponse {
    try await send(request.prepared(), deadline: deadline, timeouts: timeouts, limits: limits)
  }

  /// Sends a prepared request, which callers reuse.
  public static func send(
    _ prepared: PreparedHTTPRequest, deadline: Duration, timeouts: HTTPTimeouts = HTTPTimeouts(),
    limits: HTTPClientLimits = HTTPClientLimits()
  ) async throws -> HTTPResponse {
    let request = prepared.request
    if let address = prepared.address {
      let exchange = PlainExchange(
        prepared.bytes, to: request.endpoint, at: address, isHead: request.method == "HEAD", deadline: deadline,
        timeouts: timeouts,
        limits: limits)
      return try await exchange.run()
    }
    let end = LoopClock.system.now + deadline
    let kept = request.connection?.take()
    if let kept {
      kept.startDeadline(until: end, stated: deadline)
      let answer = try await prepared.answer(
        over: kept, isReused: true, until: end, deadline: deadline, timeouts: timeouts, limits: limits)
      if let answer { return answer }
    }
    let stream = try await ByteStream.connect(
      to: request.endpoint, tls: request.tls, deadline: kept == nil ? deadline : end - LoopClock.system.now,
      opening: timeouts.open, handshake: timeouts.handshake)
    let answer = try await prepared.answer(
      over: stream, isReused: false, until: end, deadline: deadline, timeouts: timeouts, limits: limits)
    guard let answer else { throw StreamError.closed(request.endpoint) }
    return answer
  }
}

/// A request as it goes over the wire, and where to, as far as that needs no look-up.
public struct PreparedHTTPRequest: Sendable {
  let request: HTTPRequest
  let bytes: [UInt8]
  /// Of a numeric host without TLS, for a connection of the request's own.
  let address: SocketAddress?

  /// Sends the request and reads its answer; the stream is closed afterwards, or kept.
  /// - Parameters:
  ///   - isReused: whether the stream has carried another request before.
  ///   - end: the deadline as a moment.
  /// - Returns: nil when the server has ended the connection without a byte.
  @LoopActor fileprivate func answer(
    over stream: ByteStream, isReused: Bool, until end: LoopClock.Instant, deadline: Duration, timeouts: HTTPTimeouts,
    limits: HTTPClientLimits
  ) async throws -> HTTPResponse? {
    var reader = HTTPResponseReader(of: request.endpoint, limits: limits, isHead: request.method == "HEAD")
    defer {
      if reader.leavesConnection, let connection = request.connection {
        connection.keep(stream)
      } else {
        stream.close()
      }
    }
    do {
      try stream.write(bytes)
      while !reader.isComplete {
        if let silence = timeouts.read {
          let until = LoopClock.system.now + silence
          stream.startDeadline(until: min(until, end), stated: until < end ? silence : deadline)
        }
        let piece = try await stream.read(upTo: 16 << 10)
        if piece.isEmpty {
          guard reader.finish() else { throw StreamError.closed(request.endpoint) }
          break
        }
        try reader.consume(piece)
      }
      return reader.response
    } catch let error as StreamError {
      switch error {
      // It ended just when the request came.
      case .closed where isReused && !reader.hasBegun, .failed where isReused && !reader.hasBegun: return nil
      case .closed, .failed, .refused, .starved, .timedOut, .tooLong: throw error
      }
    }
  }
}

extension HTTPRequest {
  /// Makes the bytes to send, once for many times.
  /// - Throws: ``HTTPClientError`` for a header or target that cannot be sent, ``StreamError`` for an endpoint that
  ///   cannot be.
  public func prepared() throws -> PreparedHTTPRequest {
    PreparedHTTPRequest(
      request: self, bytes: try wireBytes(),
      address: tls == nil && connection == nil ? try endpoint.onlyAddress() : nil)
  }

  /// Head and body as sent; refuses what would end a line early, since headers and targets come from others.
  func wireBytes() throws(HTTPClientError) -> [UInt8] {
    guard !method.isEmpty, method.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
      throw .unsendable(reason: "the method is not one word")
    }
    guard !target.isEmpty, target.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f }) else {
      throw .unsendable(reason: "the target is empty or holds blanks or control characters")
    }
    var head = "\(method) \(target) HTTP/1.1\r\n"
    if !has("Host") { head += "Host: \(authority)\r\n" }
    if connection == nil, !has("Connection") { head += "Connection: close\r\n" }
    for header in headers {
      guard header.isSendable else { throw .unsendable(reason: "header \(header.name.debugDescription)") }
      head += "\(header.name): \(header.value)\r\n"
    }
    let needsLength = !body.isEmpty || ["POST", "PUT", "PATCH"].contains(method)
    if needsLength, !has("Content-Length"), !has("Transfer-Encoding") { head += "Content-Length: \(body.count)\r\n" }
    return Array((head + "\r\n").utf8) + body
  }

  private func has(_ name: String) -> Bool { headers.contains { $0.name.equalsIgnoringASCIICase(name) } }

  /// RFC 9110 §7.2: the scheme's own port is not written.
  private var authority: String {
    switch endpoint {
    case .unix: "localhost"
    case .tcp(let host, let port):
      if port == (tls == nil ? 80 : 443) {
        host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]" : host
      } else {
        endpoint.description
      }
    }
  }
}

extension HTTPHeader {
  fileprivate var isSendable: Bool {
    !name.isEmpty && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: ":") }
      && value.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f || $0 == 0x09 }
  }
}
