internal import SmartStack

/// A network as CIDR writes it, `10.0.0.0/8`, or a single address.
struct AddressRange: Hashable, Sendable, CustomStringConvertible {
  private let base: IPAddress
  private let prefix: Int

  /// Reads `ADDRESS/BITS` or `ADDRESS`; nil for anything else. Bits after the prefix are ignored.
  init?(_ text: String) {
    let (address, bits) = text[...].cut(at: "/")
    guard let base = IPAddress(String(address))?.unmapped else { return nil }
    let width = base.isIPv6 ? 128 : 32
    guard let bits else {
      (self.base, prefix) = (base, width)
      return
    }
    guard !bits.isEmpty, bits.utf8.allSatisfy({ $0.isDigit }), let prefix = Int(bits), prefix <= width
    else { return nil }
    (self.base, self.prefix) = (base, prefix)
  }

  /// As it is written in a configuration.
  var description: String { "\(base)/\(prefix)" }

  func contains(_ address: IPAddress) -> Bool { address.unmapped.shares(prefix: prefix, with: base) }
}
