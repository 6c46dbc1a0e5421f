extension HTTPClient {
  /// Sends `request` and hands over the lines of an answer that may never end, as servers' watches are.
  ///
  /// - Parameters:
  ///   - patience: for the connection and the answer's head; afterwards the server may be silent as long as it likes,
  ///     unless `silence` is given.
  ///   - silence: the longest time without a byte of the body; nil: any.
  ///   - limits: `maxBodyBytes` is for one line here; a longer one is `StreamError.tooLong`.
  ///   - onLine: gets each line without its end.
  /// - Returns: the head, when the answer has ended after all; a status other than 200 gives no lines, and its body.
  /// - Throws: ``StreamError``, ``HTTPClientError``, or `CancellationError`.
  public static func lines(
    of request: HTTPRequest, patience: Duration, silence: Duration? = nil,
    limits: HTTPClientLimits = HTTPClientLimits(), onLine: @LoopActor ([UInt8]) -> Void
  ) async throws -> HTTPResponse {
    let stream = try await ByteStream.connect(to: request.endpoint, tls: request.tls, deadline: patience)
    defer { stream.close() }
    try stream.write(try request.wireBytes())
    var reader = HTTPResponseReader(of: request.endpoint, limits: limits, isHead: false)
    var line: [UInt8] = []
    while !reader.isComplete {
      let piece = try await stream.read(upTo: 64 << 10)
      if piece.isEmpty {
        guard reader.finish() else { throw StreamError.closed(request.endpoint) }
      }
      try reader.consume(piece)
      guard reader.hasHead, reader.response.status == 200 else { continue }
      stream.setDeadline(after: silence)
      line += reader.takeBody()
      while let end = line.firstIndex(of: UInt8(ascii: "\n")) {
        onLine(Array(line[..<end]))
        line.removeSubrange(...end)
      }
      if line.count > limits.maxBodyBytes { throw StreamError.tooLong(request.endpoint, limit: limits.maxBodyBytes) }
    }
    if !line.isEmpty { onLine(line) }
    return reader.response
  }
}
