internal import SmartStack

/// A server's host: an address, or a name that HAProxy resolves when it loads its file.
///
/// Also the gate for hosts from the registry: HAProxy gives `unix@`, `fd@`, `/path`, `*` and others a
/// meaning of their own in the place of an address; none of them has the form of either case.
enum HostAddress: Hashable, Sendable {
  case address(IPAddress)
  case name(String)

  /// nil if `text` is neither.
  init?(_ text: String) {
    if let address = IPAddress(text) {
      self = .address(address)
    } else if ServerText.isDNSName(text) {
      self = .name(text)
    } else {
      return nil
    }
  }

  var isName: Bool { if case .name = self { true } else { false } }
}

extension UInt8 {
  var isDigit: Bool { (0x30...0x39).contains(self) }
}

extension String {
  /// Whether it has a byte that would end the line or is no text at all.
  var hasControlBytes: Bool { utf8.contains { $0 < 0x20 && $0 != 0x09 || $0 == 0x7F } }

  /// The words between blanks and tabs.
  var words: [String] { split { $0 == " " || $0 == "\t" }.map(String.init) }
}
