/// One frame of AMQP 0-9-1 (section 4.2.3).
struct AMQPFrame: Equatable, Sendable {
  enum Kind: UInt8, Sendable {
    case method = 1
    case header = 2
    case body = 3
    case heartbeat = 8
  }

  var kind: Kind
  var channel: UInt16
  var payload: [UInt8]

  /// Kind, channel and size.
  static let headSize = 7
  static let end: UInt8 = 0xCE
  /// The largest payload that is taken or offered.
  static let longest = 128 << 10

  var bytes: [UInt8] {
    var writer = AMQPWriter()
    writer.octet(kind.rawValue)
    writer.short(channel)
    writer.longString(payload)
    writer.octet(AMQPFrame.end)
    return writer.bytes
  }

  /// What a frame's first seven bytes say: everything but its payload.
  static func head(_ bytes: [UInt8]) throws(ProbeResult) -> (kind: Kind, channel: UInt16, size: Int) {
    // A broker that speaks another version says so with its own greeting, and hangs up.
    if bytes.starts(with: "AMQP".utf8) { throw .notAMQP("the broker speaks another version") }
    var reader = AMQPReader(bytes)
    let number = try reader.octet()
    guard let kind = Kind(rawValue: number) else { throw .notAMQP("a frame of type \(number)") }
    let channel = try reader.short()
    let size = try reader.long()
    guard size <= longest else { throw .notAMQP("a frame of \(size) bytes") }
    return (kind, channel, Int(size))
  }
}

/// A method's number: class and index.
struct AMQPMethod: Equatable, Sendable {
  var group: UInt16
  var index: UInt16

  static let connectionStart = AMQPMethod(group: 10, index: 10)
  static let connectionStartOK = AMQPMethod(group: 10, index: 11)
  static let connectionTune = AMQPMethod(group: 10, index: 30)
  static let connectionTuneOK = AMQPMethod(group: 10, index: 31)
  static let connectionOpen = AMQPMethod(group: 10, index: 40)
  static let connectionOpenOK = AMQPMethod(group: 10, index: 41)
  static let connectionClose = AMQPMethod(group: 10, index: 50)
  static let connectionCloseOK = AMQPMethod(group: 10, index: 51)
  static let channelOpen = AMQPMethod(group: 20, index: 10)
  static let channelOpenOK = AMQPMethod(group: 20, index: 11)
  static let channelClose = AMQPMethod(group: 20, index: 40)
  static let queueDeclare = AMQPMethod(group: 50, index: 10)
  static let queueDeclareOK = AMQPMethod(group: 50, index: 11)
  static let basicPublish = AMQPMethod(group: 60, index: 40)
  static let basicReturn = AMQPMethod(group: 60, index: 50)
  static let basicGet = AMQPMethod(group: 60, index: 70)
  static let basicGetOK = AMQPMethod(group: 60, index: 71)
  static let basicGetEmpty = AMQPMethod(group: 60, index: 72)
  static let basicAck = AMQPMethod(group: 60, index: 80)
}
