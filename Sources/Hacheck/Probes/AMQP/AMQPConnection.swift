internal import Reactor

/// One connection to a broker with one channel, as much of AMQP 0-9-1 as publishing and getting needs.
@LoopActor struct AMQPConnection {
  private static let channel: UInt16 = 1
  private let stream: ByteStream

  init(_ stream: ByteStream) { self.stream = stream }

  // MARK: Conversation

  /// Logs in (SASL PLAIN), opens the virtual host and a channel.
  func open(username: String, password: String, virtualHost: String) async throws {
    try stream.write(Array("AMQP".utf8) + [0, 0, 9, 1])
    _ = try await receive(.connectionStart)
    try send(.connectionStartOK, channel: 0) { method in
      // With this capability a refused login is said, not only hung up on.
      var properties = AMQPWriter()
      properties.shortString("capabilities")
      properties.octet(UInt8(ascii: "F"))
      properties.table([(name: "authentication_failure_close", value: true)])
      method.longString(properties.bytes)
      method.shortString("PLAIN")
      method.longString([0] + Array(username.utf8) + [0] + Array(password.utf8))
      method.shortString("en_US")
    }
    var tune = try await receive(.connectionTune)
    let (channels, frame) = (try tune.short(), try tune.long())
    try send(.connectionTuneOK, channel: 0) { method in
      method.short(channels)
      let ours = UInt32(AMQPFrame.longest)
      method.long(frame == 0 ? ours : min(frame, ours))
      method.short(0)  // no heartbeats: a check is over before one would be due
    }
    try send(.connectionOpen, channel: 0) { method in
      method.shortString(virtualHost)
      method.shortString("")
      method.octet(0)
    }
    _ = try await receive(.connectionOpenOK)
    try send(.channelOpen) { $0.shortString("") }
    _ = try await receive(.channelOpenOK)
  }

  /// Makes a queue that goes with the broker, unless it is there: not durable, not exclusive.
  func declareQueue(_ name: String) async throws {
    try send(.queueDeclare) { method in
      method.short(0)
      method.shortString(name)
      method.octet(0)
      method.table([])
    }
    _ = try await receive(.queueDeclareOK)
  }

  /// Sends a message to a queue, by way of the default exchange; what cannot be delivered comes back.
  /// - Parameter expiration: milliseconds after which the broker drops it.
  func publish(_ body: [UInt8], to queue: String, expiration: Int) throws {
    try send(.basicPublish) { method in
      method.short(0)
      method.shortString("")
      method.shortString(queue)
      method.octet(1)  // mandatory
    }
    var header = AMQPWriter()
    header.short(AMQPMethod.basicPublish.group)
    header.short(0)
    header.longLong(UInt64(body.count))
    header.short(1 << 8)  // only the property `expiration`
    header.shortString(String(expiration))
    try write(AMQPFrame(kind: .header, channel: AMQPConnection.channel, payload: header.bytes))
    try write(AMQPFrame(kind: .body, channel: AMQPConnection.channel, payload: body))
  }

  /// Takes one message from a queue and acknowledges it.
  /// - Returns: false when there is none.
  func get(from queue: String) async throws -> Bool {
    try send(.basicGet) { method in
      method.short(0)
      method.shortString(queue)
      method.octet(0)
    }
    let (method, arguments) = try await receive(oneOf: [.basicGetOK, .basicGetEmpty])
    guard method == .basicGetOK else { return false }
    var reader = arguments
    let tag = try reader.longLong()
    try await skipContent()
    try send(.basicAck) { method in
      method.longLong(tag)
      method.octet(0)
    }
    return true
  }

  /// Says goodbye and waits for the answer: only then is what was sent before sure to have arrived.
  func close() async throws {
    try send(.connectionClose, channel: 0) { method in
      method.short(200)
      method.shortString("")
      method.short(0)
      method.short(0)
    }
    _ = try await receive(.connectionCloseOK)
  }

  // MARK: Frames

  private func send(
    _ method: AMQPMethod, channel: UInt16 = AMQPConnection.channel, with arguments: (inout AMQPWriter) -> Void
  ) throws {
    var writer = AMQPWriter()
    writer.short(method.group)
    writer.short(method.index)
    arguments(&writer)
    try write(AMQPFrame(kind: .method, channel: channel, payload: writer.bytes))
  }

  private func write(_ frame: AMQPFrame) throws { try stream.write(frame.bytes) }

  private func receive(_ method: AMQPMethod) async throws -> AMQPReader { try await receive(oneOf: [method]).arguments }

  private func receive(oneOf methods: [AMQPMethod]) async throws -> (method: AMQPMethod, arguments: AMQPReader) {
    let frame = try await readFrame()
    guard frame.kind == .method else { throw ProbeResult.notAMQP("content where a method is due") }
    var reader = AMQPReader(frame.payload)
    let method = AMQPMethod(group: try reader.short(), index: try reader.short())
    switch method {
    case .connectionClose, .channelClose:
      throw ProbeResult.refused("the broker refused: \(try reader.short()) \(try reader.shortString())")
    case .basicReturn:
      throw ProbeResult.refused("the broker returned the message: \(try reader.short()) \(try reader.shortString())")
    default: break
    }
    guard methods.contains(method) else {
      throw ProbeResult.notAMQP("method \(method.group).\(method.index) is not due")
    }
    return (method, reader)
  }

  /// A message's header and all of its body.
  private func skipContent() async throws {
    let header = try await readFrame()
    guard header.kind == .header else { throw ProbeResult.notAMQP("no header where a message's is due") }
    var reader = AMQPReader(header.payload)
    _ = (try reader.short(), try reader.short())
    var missing = try reader.longLong()
    while missing > 0 {
      let body = try await readFrame()
      guard body.kind == .body, !body.payload.isEmpty, UInt64(body.payload.count) <= missing else {
        throw ProbeResult.notAMQP("no body where a message's is due")
      }
      missing -= UInt64(body.payload.count)
    }
  }

  /// The next frame that is no heartbeat.
  private func readFrame() async throws -> AMQPFrame {
    while true {
      let head = try AMQPFrame.head(try await stream.read(exactly: AMQPFrame.headSize))
      let payload = try await stream.read(exactly: head.size + 1)
      guard payload.last == AMQPFrame.end else { throw ProbeResult.notAMQP("a frame does not end where it should") }
      if head.kind != .heartbeat {
        return AMQPFrame(kind: head.kind, channel: head.channel, payload: Array(payload.dropLast()))
      }
    }
  }
}
