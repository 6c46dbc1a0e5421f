public import SmartStack

/// The checks that an operator's downtime covers; also the name of its file in the spool.
public enum SpoolScope: Hashable, Sendable, CustomStringConvertible {
  /// Every service: the file `all`.
  case everything
  /// Every port of a service: the file `NAME`.
  case service(String)
  /// One instance: `NAME:PORT` for this machine (host nil), `NAME:HOST:PORT` for another address.
  case instance(service: String, host: String?, port: Int)

  /// As operators name it: the file's name.
  public var description: String {
    switch self {
    case .everything: "all"
    case .service(let name): name
    case .instance(let name, nil, let port): "\(name):\(port)"
    case .instance(let name, .some(let host), let port): "\(name):\(host):\(port)"
    }
  }

  /// The scope that hacheck's programs mean by a name, a port and a host; 127.0.0.1 is this machine.
  public init(service: String, port: Int?, host: String? = nil) {
    if let port {
      self = .instance(service: service, host: host == "127.0.0.1" ? nil : host, port: port)
    } else {
      self = service == "all" ? .everything : .service(service)
    }
  }

  /// Reads a file's name. What has no plain number after its last colon counts as a service of that name.
  public init(fileName: String) {
    let (head, tail) = fileName[...].cut(atLast: ":")
    guard let tail, let port = Int(tail), port >= 0, "\(port)" == tail, !head.isEmpty else {
      self = SpoolScope(service: fileName, port: nil)
      return
    }
    let (name, host) = head.cut(at: ":")
    self = .instance(service: String(name), host: host.map(String.init), port: port)
  }
}

/// An operator's word that something is down, whatever its health check says: one file of the spool.
public struct Downtime: Hashable, Sendable {
  /// The checks that it covers.
  public var scope: SpoolScope
  /// Why, in the operator's words; may be empty.
  public var reason: String
  /// When it was set, in seconds since 1970; nil in files of an old or foreign make.
  public var creation: Double?
  /// When it ends by itself, in seconds since 1970; nil for never.
  public var expiration: Double?
  /// Who set it: an account of this host, or the address that asked over HTTP; nil in files of an old or foreign make.
  public var setter: String?

  /// The downtime in status reports: `scope`, `reason`, `by`, and `since` and `until` in seconds since 1970.
  public var json: JSONValue {
    [
      "scope": .string(scope.description), "reason": .string(reason), "by": setter.map { .string($0) } ?? .null,
      "since": creation.map { .double($0) } ?? .null, "until": expiration.map { .double($0) } ?? .null,
    ]
  }

  /// Whether it has ended by `unixTime`.
  public func hasExpired(at unixTime: Double) -> Bool {
    guard let expiration else { return false }
    return expiration < unixTime
  }

  /// The sentence that PaaSTA's drain method parses, to the letter: six decimals, reason last.
  ///
  /// - Parameter service: the name asked for, which for an instance is the service's, and `all` for everything.
  public var downText: String {
    let name =
      switch scope {
      case .everything: "all"
      case .service(let name), .instance(let name, _, _): name
      }
    var text = "Service \(name) in down state"
    if let creation { text += " since \(creation.sixDecimals)" }
    if let expiration { text += " until \(expiration.sixDecimals)" }
    if !reason.isEmpty { text += ": \(reason)" }
    return text
  }
}
