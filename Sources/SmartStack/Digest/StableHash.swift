/// FNV-1a with 64 bits: unlike `Hasher` the same in every process. Enough to see that a text has changed, and to
/// spread names evenly; not against those who choose the text.
public struct StableHash: Hashable, Sendable {
  /// The hash of what was added so far.
  @inlinable public var value: UInt64 { state }
  @usableFromInline var state: UInt64 = 0xcbf2_9ce4_8422_2325

  /// Creates the hash of nothing.
  @inlinable public init() {}

  /// Creates the hash of a text.
  public init(_ text: String) { add(text.utf8) }

  /// Adds one byte to what is hashed.
  @inlinable public mutating func add(_ byte: UInt8) { state = (state ^ UInt64(byte)) &* 0x100_0000_01b3 }

  /// Adds bytes to what is hashed.
  @inlinable public mutating func add(_ bytes: some Sequence<UInt8>) { for byte in bytes { add(byte) } }

  /// The value in hexadecimal digits, for a file's name.
  public var hexadecimal: String { String(state, radix: 16) }

  /// A number from 0 up to 1, spread evenly over all texts.
  public var share: Double {
    // The last bytes of a text only reach the lower bits by themselves (splitmix64's last steps).
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
    return Double((mixed ^ mixed >> 31) >> 11) / Double(1 << 53 as UInt64)
  }
}
