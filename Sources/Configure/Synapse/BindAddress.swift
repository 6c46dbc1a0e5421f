internal import Reactor
internal import SmartStack

/// Whether services can listen where they are to: HAProxy refuses to start when the address is on no interface.
enum BindAddress {
  /// What the package sets, and has a unit for.
  private static let packaged = "169.254.255.254"

  /// A sentence with the command that helps; nil if there is nothing to say.
  static func problem(_ address: String) -> String? {
    guard let parsed = IPAddress(address), !["0.0.0.0", "::"].contains(address), !address.hasPrefix("127."),
      let here = HostInfo.addresses, !here.contains(parsed)
    else { return nil }
    let length = address.contains(":") ? 128 : 32
    let unit = address == packaged ? " (with the package: systemctl start smartstack-yocalhost)" : ""
    return "bind_addr \(address) is on no interface of this host, so HAProxy cannot listen there; "
      + "give it to the loopback interface: ip address add \(address)/\(length) dev lo\(unit)"
  }
}
