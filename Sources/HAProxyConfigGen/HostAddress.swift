internal import SmartStack

/// A server's host: an address, or a name that HAProxy resolves when it loads its file.
///
/// Also the gate for hosts from the registry: HAProxy gives `unix@`, `fd@`, `/path`, `*` and others a
/// meaning of their own in the place of an address; none of them has the form of either case.
enum HostAddress: Hashable, Sendable {
  case ipv4([UInt8])
  case ipv6([UInt16])
  case name(String)

  /// nil if `text` is none of the three.
  init?(_ text: String) {
    let bytes = text.utf8
    guard !bytes.isEmpty, bytes.count <= 253 else { return nil }
    if bytes.contains(UInt8(ascii: ":")) {
      guard let groups = HostAddress.ipv6(text) else { return nil }
      self = .ipv6(groups)
    } else if let octets = HostAddress.ipv4(text[...].utf8) {
      self = .ipv4(octets)
    } else if ServerText.isDNSName(text) {
      self = .name(text)
    } else {
      return nil
    }
  }

  var isName: Bool { if case .name = self { true } else { false } }

  /// Four decimal numbers without leading zeros, as inet_pton has it.
  private static func ipv4(_ bytes: Substring.UTF8View) -> [UInt8]? {
    var octets: [UInt8] = []
    var (number, digits) = (0, 0)
    for byte in bytes {
      if byte == UInt8(ascii: ".") {
        guard digits > 0, octets.count < 3 else { return nil }
        octets.append(UInt8(number))
        (number, digits) = (0, 0)
      } else {
        guard byte.isDigit, digits == 0 || number > 0 else { return nil }
        number = number * 10 + Int(byte - UInt8(ascii: "0"))
        digits += 1
        guard number <= 255 else { return nil }
      }
    }
    guard digits > 0, octets.count == 3 else { return nil }
    return octets + [UInt8(number)]
  }

  private static func ipv6(_ text: String) -> [UInt16]? {
    guard let gap = text.range(of: "::") else { return groups(text[...]).flatMap { $0.count == 8 ? $0 : nil } }
    guard let head = groups(text[..<gap.lower]), let tail = groups(text[gap.upper...]), head.count + tail.count < 8
    else { return nil }
    return head + Array(repeating: 0, count: 8 - head.count - tail.count) + tail
  }

  private static func groups(_ text: Substring) -> [UInt16]? {
    if text.isEmpty { return [] }
    var groups: [UInt16] = []
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    for (index, part) in parts.enumerated() {
      if index == parts.count - 1, let octets = ipv4(part.utf8) {
        groups.append(UInt16(octets[0]) << 8 | UInt16(octets[1]))
        groups.append(UInt16(octets[2]) << 8 | UInt16(octets[3]))
      } else {
        guard (1...4).contains(part.utf8.count), part.utf8.allSatisfy({ $0.isHexDigit }),
          let group = UInt16(part, radix: 16)
        else { return nil }
        groups.append(group)
      }
    }
    return groups
  }
}

extension UInt8 {
  var isDigit: Bool { (0x30...0x39).contains(self) }
  var isHexDigit: Bool { isDigit || (0x41...0x46).contains(self & 0xDF) }
}

extension String {
  /// Whether it has a byte that would end the line or is no text at all.
  var hasControlBytes: Bool { utf8.contains { $0 < 0x20 && $0 != 0x09 || $0 == 0x7F } }

  /// The words between blanks and tabs.
  var words: [String] { split { $0 == " " || $0 == "\t" }.map(String.init) }

  fileprivate func range(of needle: String) -> (lower: Index, upper: Index)? {
    var at = startIndex
    while at < endIndex {
      if self[at...].hasPrefix(needle) { return (at, index(at, offsetBy: needle.count)) }
      at = index(after: at)
    }
    return nil
  }
}
