internal import Reactor

/// Why hacheck could not start.
public enum HacheckError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Somebody else listens there; trying again later may succeed.
  case portTaken(address: String, port: Int)
  /// The address cannot be listened on.
  case cannotListen(address: String, port: Int, reason: String)
  /// The Unix socket cannot be listened on.
  case cannotListenAt(path: String, reason: String)
  /// The spool cannot be read or watched.
  case spoolUnusable(path: String, reason: String)

  /// What is wrong and what to look at.
  public var description: String {
    switch self {
    case .portTaken(let address, let port):
      "cannot listen on \(address) port \(port): another program does (an old hacheck?)"
    case .cannotListen(let address, let port, let reason): "cannot listen on \(address) port \(port): \(reason)"
    case .cannotListenAt(let path, let reason): "cannot listen on the Unix socket \(path): \(reason)"
    case .spoolUnusable(let path, let reason): "cannot use the spool \(path): \(reason)"
    }
  }

  init(_ error: any Error, address: String) {
    switch error {
    case ListenError.addressInUse(.tcp(_, let port)): self = .portTaken(address: address, port: port)
    case ListenError.failed(.tcp(_, let port), let reason):
      self = .cannotListen(address: address, port: port, reason: reason)
    case ListenError.addressInUse(.unix(let path)):
      self = .cannotListenAt(path: path, reason: "another program does, or something else is there")
    case ListenError.failed(.unix(let path), let reason): self = .cannotListenAt(path: path, reason: reason)
    default: self = .cannotListen(address: address, port: 0, reason: "\(error)")
    }
  }
}
