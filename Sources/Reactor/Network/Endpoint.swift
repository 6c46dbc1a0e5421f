/// Where a stream leads or a listener waits.
public enum Endpoint: Hashable, Sendable, CustomStringConvertible {
  /// A host name or a numeric IPv4 or IPv6 address (without brackets), and a port.
  case tcp(host: String, port: Int)
  /// A Unix stream socket by its path.
  case unix(path: String)

  /// `host:port`, `[v6]:port` or `unix:/path`.
  public var description: String {
    switch self {
    case .tcp(let host, let port): host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
    case .unix(let path): "unix:\(path)"
    }
  }
}

/// Why a ``ByteStream`` stopped.
public enum StreamError: Error, Equatable, Sendable, CustomStringConvertible {
  /// No connection came about: the system's text, or a name that does not resolve.
  case refused(Endpoint, reason: String)
  /// The stream's deadline passed; the duration is the one that was set.
  case timedOut(Endpoint, after: Duration)
  /// The peer closed before what was asked for had arrived, or the stream was closed here.
  case closed(Endpoint)
  /// More bytes than the limit of the call.
  case tooLong(Endpoint, limit: Int)
  /// The connection broke: reset, TLS failure.
  case failed(Endpoint, reason: String)
  /// This host could not ask: descriptors, ports or buffers ran out. Says nothing about the endpoint.
  case starved(Endpoint, reason: String)

  /// A sentence for the log.
  public var description: String {
    switch self {
    case .refused(let endpoint, let reason): "cannot connect to \(endpoint): \(reason)"
    case .timedOut(let endpoint, let limit): "\(endpoint) did not answer within \(limit.secondsText)"
    case .closed(let endpoint): "\(endpoint) closed the connection early"
    case .tooLong(let endpoint, let limit): "\(endpoint) sent more than \(limit) bytes"
    case .failed(let endpoint, let reason): "connection to \(endpoint) failed: \(reason)"
    case .starved(let endpoint, let reason): "this host cannot ask \(endpoint): \(reason)"
    }
  }
}

/// The client side of TLS.
public struct TLSOptions: Hashable, Sendable {
  /// The name sent as SNI and, with ``verify``, looked for in the certificate. SNI is not sent for addresses.
  public var serverName: String?
  /// Whether the certificate must be valid. False, as in upstream's checks, accepts any.
  public var verify: Bool
  /// A PEM file of the authorities to trust in place of the system's; only read with ``verify``.
  public var authorityFile: String?
  /// A PEM file with the client's certificate, and those between it and the authority; nil: the client has none.
  public var certificateFile: String?
  /// The PEM file of the certificate's key; nil: the same file.
  public var keyFile: String?

  /// - Parameters:
  ///   - serverName: nil sends no SNI; verification then uses the endpoint's host.
  ///   - verify: whether chain and name are checked.
  ///   - authorityFile: nil trusts the system's authorities.
  public init(serverName: String?, verify: Bool = false, authorityFile: String? = nil) {
    self.serverName = serverName
    self.verify = verify
    self.authorityFile = authorityFile
  }
}

extension Duration {
  /// `1.5 s`, with at most three decimals, for messages.
  var secondsText: String {
    let milliseconds = Int(self / .milliseconds(1))
    let (whole, rest) = (milliseconds / 1000, milliseconds % 1000)
    guard rest > 0 else { return "\(whole) s" }
    var decimals = String(rest + 1000).dropFirst()
    while decimals.last == "0" { decimals.removeLast() }
    return "\(whole).\(decimals) s"
  }
}
