internal import Reactor
internal import SmartStack

/// This host's name, and the IPv4 address it stands for.
public struct HostIdentity: Equatable, Sendable {
  /// The host's name, as `hostname` prints it.
  public var name: String
  /// nil when the name has no IPv4 address.
  public var address: String?

  /// A host of a known name and address.
  public init(name: String, address: String?) { (self.name, self.address) = (name, address) }

  /// Asks the system; blocks as a name look-up does.
  /// - Parameter address: what is known to be the address; nil looks it up.
  public static func look(address: String? = nil) -> HostIdentity {
    guard let name = HostInfo.name else { return HostIdentity(name: "localhost", address: address) }
    return HostIdentity(name: name, address: address ?? HostInfo.address(ofHost: name)?.description)
  }
}
