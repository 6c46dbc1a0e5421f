/// The operations of ZooKeeper's protocol that a reader sends, by their numbers. Servers have the last two from 3.6.
enum WireOperation: Int32 {
  case getData = 4
  case ping = 11
  case getChildren2 = 12
  case removeWatches = 18
  case closeSession = -11
  case multiRead = 22
  case setWatches2 = 105
}

/// Writes one packet of ZooKeeper's protocol: numbers with the highest byte first, texts and bytes behind their length.
struct WireWriter {
  /// The packet; its first four bytes are its length.
  private var bytes: [UInt8] = [0, 0, 0, 0]

  mutating func put(_ value: Int32) { withUnsafeBytes(of: value.bigEndian) { bytes += $0 } }

  mutating func put(_ value: Int64) { withUnsafeBytes(of: value.bigEndian) { bytes += $0 } }

  mutating func put(_ value: Bool) { bytes.append(value ? 1 : 0) }

  mutating func put(_ value: String) { put(Array(value.utf8)) }

  mutating func put(_ value: [UInt8]) {
    put(Int32(value.count))
    bytes += value
  }

  var packet: [UInt8] {
    var packet = bytes
    withUnsafeBytes(of: Int32(bytes.count - 4).bigEndian) { packet.replaceSubrange(0..<4, with: $0) }
    return packet
  }
}

/// Reads one packet of ZooKeeper's protocol, whatever its bytes are.
struct WireReader {
  /// The packet ends early, or one of its lengths makes no sense.
  struct Malformed: Error, CustomStringConvertible {
    let description = "the server's answer is not ZooKeeper's protocol"
  }

  private let bytes: [UInt8]
  private var next = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  mutating func int() throws(Malformed) -> Int32 { Int32(bitPattern: UInt32(truncatingIfNeeded: try number(4))) }

  mutating func long() throws(Malformed) -> Int64 { Int64(bitPattern: try number(8)) }

  mutating func bool() throws(Malformed) -> Bool { try number(1) != 0 }

  mutating func string() throws(Malformed) -> String { String(decoding: try slice(), as: UTF8.self) }

  /// Empty also for the protocol's "no bytes at all".
  mutating func buffer() throws(Malformed) -> [UInt8] { Array(try slice()) }

  mutating func strings() throws(Malformed) -> [String] {
    let count = Int(try int())
    // Each text takes four bytes at least.
    guard count <= (bytes.count - next) / 4 else { throw Malformed() }
    var strings: [String] = []
    strings.reserveCapacity(max(0, count))
    for _ in 0..<max(0, count) { strings.append(try string()) }
    return strings
  }

  /// A node's properties.
  /// - Returns: the state of its list of names, as a number: another one for each change that may have made the node, and
  ///   one more for each name that has come or gone since then.
  mutating func stat() throws(Malformed) -> Int64 {
    let created = try long()
    _ = try take(28)
    let changes = try int()
    _ = try take(28)
    return created &* 0x1e37_79b9_7f4a_7c15 &+ Int64(changes)
  }

  private mutating func slice() throws(Malformed) -> ArraySlice<UInt8> { try take(max(0, Int(try int()))) }

  private mutating func take(_ count: Int) throws(Malformed) -> ArraySlice<UInt8> {
    guard count <= bytes.count - next else { throw Malformed() }
    defer { next += count }
    return bytes[next..<next + count]
  }

  private mutating func number(_ size: Int) throws(Malformed) -> UInt64 {
    try take(size).reduce(0) { $0 << 8 | UInt64($1) }
  }
}
