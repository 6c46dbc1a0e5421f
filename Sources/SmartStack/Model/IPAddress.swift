internal import Glibc

/// An IPv4 or IPv6 address, read from and written as text. No look-ups.
public struct IPAddress: Hashable, Sendable, CustomStringConvertible {
  /// Whether it is an IPv6 address.
  public let isIPv6: Bool
  private let high: UInt64
  /// An IPv4 address fills the low 32 bits.
  private let low: UInt64

  private init(high: UInt64, low: UInt64, isIPv6: Bool) { (self.high, self.low, self.isIPv6) = (high, low, isIPv6) }

  /// Reads the usual forms, without brackets, zones, blanks or short IPv4 forms.
  public init?(_ text: String) {
    guard text.utf8.count < 64, !text.utf8.contains(0) else { return nil }
    var bytes = (UInt64(0), UInt64(0))
    if inet_pton(AF_INET, text, &bytes) == 1 {
      self.init(high: 0, low: UInt64(bigEndian: bytes.0) >> 32, isIPv6: false)
    } else if inet_pton(AF_INET6, text, &bytes) == 1 {
      self.init(high: UInt64(bigEndian: bytes.0), low: UInt64(bigEndian: bytes.1), isIPv6: true)
    } else {
      return nil
    }
  }

  /// The address of 4 or 16 bytes in the order of the network; nil for another number of bytes.
  public init?(bytes: some Collection<UInt8>) {
    guard bytes.count == 4 || bytes.count == 16 else { return nil }
    let words = (bytes.dropLast(8), bytes.suffix(8))
    func number(_ part: some Sequence<UInt8>) -> UInt64 { part.reduce(0) { $0 << 8 | UInt64($1) } }
    self.init(high: number(words.0), low: number(words.1), isIPv6: bytes.count == 16)
  }

  /// The IPv4 address that an IPv6 address such as `::ffff:10.0.0.1` stands for; any other address itself.
  public var unmapped: IPAddress {
    guard isIPv6, high == 0, low >> 32 == 0xffff else { return self }
    return IPAddress(high: 0, low: low & 0xffff_ffff, isIPv6: false)
  }

  /// Whether packets to the address stay on this machine: 127.0.0.0/8 and ::1.
  public var isLoopback: Bool { isIPv6 ? high == 0 && low == 1 : low >> 24 == 127 }

  /// Whether both addresses are of one family and have their first `bits` bits in common.
  public func shares(prefix bits: Int, with other: IPAddress) -> Bool {
    guard isIPv6 == other.isIPv6 else { return false }
    func agree(_ difference: UInt64, bits: Int) -> Bool { bits <= 0 || difference >> max(0, 64 - bits) == 0 }
    guard isIPv6 else { return agree((low ^ other.low) << 32, bits: bits) }
    return agree(high ^ other.high, bits: bits) && agree(low ^ other.low, bits: bits - 64)
  }

  /// The canonical text, for example `10.0.0.1` or `2001:db8::1`.
  public var description: String {
    var bytes = isIPv6 ? (high.bigEndian, low.bigEndian) : ((low << 32).bigEndian, 0)
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(INET6_ADDRSTRLEN)) { buffer in
      inet_ntop(isIPv6 ? AF_INET6 : AF_INET, &bytes, buffer.baseAddress, socklen_t(buffer.count))
      return buffer.baseAddress.map { String(cString: $0) } ?? ""
    }
  }
}
