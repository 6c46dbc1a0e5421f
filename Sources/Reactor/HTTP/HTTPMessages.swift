internal import SmartStack

/// One header field with its value.
public struct HTTPHeader: Hashable, Sendable {
  /// As written; compared without regard to case.
  public var name: String
  /// The value without surrounding blanks.
  public var value: String

  /// A field of that name and value.
  public init(name: String, value: String) {
    self.name = name
    self.value = value
  }

  /// Whether it is the header of this name, whatever the case.
  public func has(name other: String) -> Bool { name.equalsIgnoringASCIICase(other) }
}

/// One request to send with ``HTTPClient``.
public struct HTTPRequest: Sendable {
  /// The method, for example `GET`.
  public var method: String
  /// The server to connect to.
  public var endpoint: Endpoint
  /// TLS, when not nil.
  public var tls: TLSOptions?
  /// Path and query, for example `/status?full=1`; sent as it is.
  public var target: String
  /// Sent in this order. `Host`, `Connection: close` (without a ``connection``) and, with a body, `Content-Length` are added
  /// unless given.
  public var headers: [HTTPHeader]
  /// Sent after the head.
  public var body: [UInt8]
  /// Where the connection is kept for the next request to the same server; nil: each request has its own. The request may
  /// then be sent twice, where the server ends a kept connection without an answer.
  public var connection: KeptConnection?

  /// A request; see the properties.
  public init(
    method: String = "GET", endpoint: Endpoint, tls: TLSOptions? = nil, target: String,
    headers: [HTTPHeader] = [], body: [UInt8] = [], connection: KeptConnection? = nil
  ) {
    self.method = method
    self.endpoint = endpoint
    self.tls = tls
    self.target = target
    self.headers = headers
    self.body = body
    self.connection = connection
  }
}

/// An answer with its status, headers and body.
public struct HTTPResponse: Equatable, Sendable {
  /// The status code, 100...999.
  public var status: Int
  /// The text after the code; often empty.
  public var reason = ""
  /// In the order received.
  public var headers: [HTTPHeader] = []
  /// The body, cut at ``HTTPClientLimits/maxBodyBytes``.
  public var body: [UInt8] = []
  /// Whether the body was longer and was cut.
  public var isTruncated = false
}

/// What an answer may cost; the third limit, time, is the deadline of the call.
public struct HTTPClientLimits: Sendable {
  /// Status line and headers together, interim answers and trailers included. More is `StreamError.tooLong`.
  public var maxHeadBytes: Int
  /// More is cut off.
  public var maxBodyBytes: Int
  /// Whether a body may end before its Content-Length says.
  public var acceptsShortBody: Bool

  /// 64 KiB, 1 MiB, and no, unless given.
  public init(maxHeadBytes: Int = 64 << 10, maxBodyBytes: Int = 1 << 20, acceptsShortBody: Bool = false) {
    self.maxHeadBytes = maxHeadBytes
    self.maxBodyBytes = maxBodyBytes
    self.acceptsShortBody = acceptsShortBody
  }
}

/// How long single steps of a request may take, besides the deadline for all of it; nil leaves a step to the deadline.
public struct HTTPTimeouts: Equatable, Sendable {
  /// Looking the name up and connecting.
  public var open: Duration?
  /// The limit of the TLS handshake.
  public var handshake: Duration?
  /// The longest silence while there is something of the answer to come.
  public var read: Duration?

  /// Creates limits of single steps.
  public init(open: Duration? = nil, handshake: Duration? = nil, read: Duration? = nil) {
    self.open = open
    self.handshake = handshake
    self.read = read
  }
}

/// What ``HTTPClient`` throws besides ``StreamError``.
public enum HTTPClientError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The peer does not speak HTTP/1.
  case malformed(reason: String)
  /// The request cannot be put on the wire: a line break in a header, say.
  case unsendable(reason: String)

  /// A sentence for the log.
  public var description: String {
    switch self {
    case .malformed(let reason): "the answer is not HTTP: \(reason)"
    case .unsendable(let reason): "the request cannot be sent: \(reason)"
    }
  }
}
