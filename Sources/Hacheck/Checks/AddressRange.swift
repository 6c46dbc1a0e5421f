internal import Glibc

/// An IPv4 or IPv6 address. An IPv4 address in IPv6 clothes (`::ffff:10.0.0.1`) is the IPv4 address.
struct IPAddress: Hashable, Sendable, CustomStringConvertible {
  /// The address's bits; an IPv4 address fills the low 32.
  let high: UInt64
  let low: UInt64
  let isIPv6: Bool

  /// Reads the usual forms, without brackets, zones, blanks or short IPv4 forms.
  init?(_ text: String) {
    var four = in_addr()
    var six = in6_addr()
    if inet_pton(AF_INET, text, &four) == 1 {
      self.init(four)
    } else if inet_pton(AF_INET6, text, &six) == 1 {
      self.init(six)
    } else {
      return nil
    }
  }

  init(_ address: in_addr) {
    (high, low, isIPv6) = (0, UInt64(UInt32(bigEndian: address.s_addr)), false)
  }

  init(_ address: in6_addr) {
    let (upper, lower) = withUnsafeBytes(of: address) { bytes in
      (
        UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
        UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
      )
    }
    let isMapped = upper == 0 && lower >> 32 == 0xffff
    (high, low, isIPv6) = isMapped ? (0, lower & 0xffff_ffff, false) : (upper, lower, true)
  }

  /// Whether packets to it stay on this machine: 127.0.0.0/8 and ::1.
  var isLoopback: Bool { isIPv6 ? high == 0 && low == 1 : low >> 24 == 127 }

  /// The canonical text.
  var description: String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(INET6_ADDRSTRLEN)) { buffer in
      if isIPv6 {
        var bytes = (high.bigEndian, low.bigEndian)
        inet_ntop(AF_INET6, &bytes, buffer.baseAddress, socklen_t(buffer.count))
      } else {
        var bytes = UInt32(truncatingIfNeeded: low).bigEndian
        inet_ntop(AF_INET, &bytes, buffer.baseAddress, socklen_t(buffer.count))
      }
      return buffer.baseAddress.map { String(cString: $0) } ?? ""
    }
  }
}

/// A network as CIDR writes it, `10.0.0.0/8`, or a single address.
public struct AddressRange: Hashable, Sendable, CustomStringConvertible {
  private let base: IPAddress
  private let prefix: Int

  /// Reads `ADDRESS/BITS` or `ADDRESS`; nil for anything else. Bits after the prefix are ignored.
  public init?(_ text: String) {
    let (address, bits) = text[...].cut(at: "/")
    guard let base = IPAddress(String(address)) else { return nil }
    let width = base.isIPv6 ? 128 : 32
    guard let bits else {
      (self.base, prefix) = (base, width)
      return
    }
    guard !bits.isEmpty, bits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let prefix = Int(bits), prefix <= width
    else { return nil }
    (self.base, self.prefix) = (base, prefix)
  }

  /// As it is written in a configuration.
  public var description: String { "\(base)/\(prefix)" }

  func contains(_ address: IPAddress) -> Bool {
    guard address.isIPv6 == base.isIPv6 else { return false }
    guard base.isIPv6 else { return AddressRange.agree(address.low << 32, base.low << 32, prefix) }
    return AddressRange.agree(address.high, base.high, prefix)
      && AddressRange.agree(address.low, base.low, prefix - 64)
  }

  /// Whether two words have their first `bits` bits in common; zero or less asks nothing.
  private static func agree(_ one: UInt64, _ other: UInt64, _ bits: Int) -> Bool {
    bits <= 0 || (one ^ other) >> max(0, 64 - bits) == 0
  }
}
