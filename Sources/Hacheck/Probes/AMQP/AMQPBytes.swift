/// The data types of AMQP 0-9-1 (section 4.2.5), put together; numbers are big-endian.
struct AMQPWriter {
  private(set) var bytes: [UInt8] = []

  mutating func octet(_ value: UInt8) { bytes.append(value) }
  mutating func short(_ value: UInt16) { number(value) }
  mutating func long(_ value: UInt32) { number(value) }
  mutating func longLong(_ value: UInt64) { number(value) }

  /// At most 255 bytes; the rest is cut off.
  mutating func shortString(_ text: String) {
    let value = text.utf8.prefix(255)
    bytes.append(UInt8(value.count))
    bytes += value
  }

  mutating func longString(_ value: [UInt8]) {
    long(UInt32(value.count))
    bytes += value
  }

  /// A field table whose values are booleans.
  mutating func table(_ flags: [(name: String, value: Bool)]) {
    var inner = AMQPWriter()
    for flag in flags {
      inner.shortString(flag.name)
      inner.octet(UInt8(ascii: "t"))
      inner.octet(flag.value ? 1 : 0)
    }
    longString(inner.bytes)
  }

  private mutating func number(_ value: some FixedWidthInteger) {
    withUnsafeBytes(of: value.bigEndian) { bytes += $0 }
  }
}

/// Reads AMQP's data types, and nothing beyond the end.
struct AMQPReader {
  private var rest: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { rest = bytes[...] }

  mutating func octet() throws(ProbeResult) -> UInt8 { UInt8(try number(1)) }
  mutating func short() throws(ProbeResult) -> UInt16 { UInt16(try number(2)) }
  mutating func long() throws(ProbeResult) -> UInt32 { UInt32(try number(4)) }
  mutating func longLong() throws(ProbeResult) -> UInt64 { try number(8) }

  mutating func shortString() throws(ProbeResult) -> String {
    String(decoding: try take(Int(try octet())), as: UTF8.self)
  }

  mutating func longString() throws(ProbeResult) -> [UInt8] { Array(try take(Int(try long()))) }

  private mutating func number(_ size: Int) throws(ProbeResult) -> UInt64 {
    try take(size).reduce(0) { $0 << 8 | UInt64($1) }
  }

  private mutating func take(_ count: Int) throws(ProbeResult) -> ArraySlice<UInt8> {
    guard rest.count >= count else { throw .notAMQP("a frame ends too early") }
    defer { rest = rest.dropFirst(count) }
    return rest.prefix(count)
  }
}

extension ProbeResult {
  /// The result for a peer that does not speak AMQP 0-9-1.
  static func notAMQP(_ reason: String) -> ProbeResult { .notUnderstood("the answer is not AMQP 0-9-1: \(reason)") }
}
