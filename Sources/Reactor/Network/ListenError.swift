/// Why a server does not listen.
public enum ListenError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Another process has the address.
  case addressInUse(Endpoint)
  /// Everything else, with the system's text.
  case failed(Endpoint, reason: String)
  /// The descriptor handed to a listener is not a listening stream socket.
  case notListening(descriptor: Int32, reason: String)

  /// A sentence for the log.
  public var description: String {
    switch self {
    case .addressInUse(let endpoint): "cannot listen on \(endpoint): another process does already"
    case .failed(let endpoint, let reason): "cannot listen on \(endpoint): \(reason)"
    case .notListening(let descriptor, let reason): "cannot take over descriptor \(descriptor): \(reason)"
    }
  }
}
