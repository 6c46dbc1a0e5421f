internal import SmartStack

/// A server's host: an address, or a name that HAProxy resolves when it loads its file.
///
/// Also the gate for hosts from the registry: HAProxy gives `unix@`, `fd@`, `/path`, `*` and others a
/// meaning of their own in the place of an address; none of them has the form of either case.
enum HostAddress: Hashable, Sendable {
  case address(IPAddress)
  case name(String)

  /// Reads a host; nil if it is neither an address nor a name.
  init?(_ text: String) {
    guard !text.isEmpty, text.utf8.count <= 253 else { return nil }
    if let address = IPAddress(text) {
      self = .address(address)
    } else if !text.utf8.contains(UInt8(ascii: ":")), ServerText.isDNSName(text) {
      self = .name(text)
    } else {
      return nil
    }
  }

  var isName: Bool { if case .name = self { true } else { false } }
}
